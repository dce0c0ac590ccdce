"""The denoise flow, from a file to published products, as Prefect runs it."""

import numpy as np
import pytest

from flows.denoise import DenoiseParams, denoise
from storage.product import Product
from tasks.denoise import denoise as denoise_array
from tests.denoise.scenes import noisy, scene
from tests.denoise.test_learned import box


@pytest.fixture
def cube(tmp_path):
    path = tmp_path / "scene.npy"
    np.save(path, noisy(scene(40, 33, 10)))
    return path


def test_a_file_becomes_a_clean_cube(home, prefect_server, cube):
    mask = np.ones((40, 33), bool)
    mask[:3] = False
    np.save(cube.parent / "mask.npy", mask)
    params = DenoiseParams(
        source=str(cube), method="hyres", tile=16, bands="0-8", mask=str(cube.parent / "mask.npy"), keep_rare=True
    )
    summary = denoise(params)

    assert summary.status == "completed"
    assert [p.kind for p in summary.products] == ["clean_cube", "picture", "report"]
    clean = Product(summary.first("clean_cube").uri)
    assert clean.shape == (40, 33, 10) and np.isfinite(clean.read()).all()
    assert not clean["valid"].read()[:3].any() and clean["valid"].read()[3:].all()
    assert np.array_equal(clean.read()[3:, :, 9], np.load(cube)[3:, :, 9])
    assert summary.metrics["gain_db"] > 6 and summary.metrics["kept_fraction"] < 0.1
    assert len(summary.metrics["noise_sigma"]) == 10

    again = denoise(params)
    assert again.products == summary.products and again.run == summary.run


def test_a_network_of_ones_own_runs_like_any_method(home, prefect_server, cube):
    model = cube.parent / "box.onnx"
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    box(model, (1, 3, 3))
    options = {"reach": [1, 1, 0]}
    summary = denoise(DenoiseParams(source=str(cube), method="onnx", model=str(model), options=options, tile=16))
    clean = Product(summary.first("clean_cube").uri)
    want = denoise_array(np.load(cube), "onnx", model=str(model), reach=(1, 1, 0))
    assert np.abs(clean.read() - want).max() < 1e-5
    made = np.sqrt(((clean.read() - scene(40, 33, 10)) ** 2).mean((0, 1)))
    assert np.allclose(summary.metrics["noise_sigma_after"], made, rtol=0.3)  # told by 1320 pixels


def test_an_unknown_method_is_refused_in_the_form():
    with pytest.raises(ValueError, match="hyres"):
        DenoiseParams(source="x.npy", method="hires")


def test_bands_that_cannot_be_read_are_refused_in_the_form():
    with pytest.raises(ValueError, match="names no band"):
        DenoiseParams(source="x.npy", bands="red")
    assert DenoiseParams(source="x.npy", bands=5).bands == "5"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"method": "forpdn", "rank": 3}, "a rank of 3 was given, but forpdn keeps all components"),
        ({"method": "l1hymixde", "options": {"stripes": "rows"}}, "turn the cube first"),
        ({"seed": -1}, "greater than or equal to 0"),
        ({"method": "onnx"}, "expected a model with the method onnx"),
        ({"method": "hyres", "model": "net.onnx"}, "expected a model with the method onnx"),
        ({"method": "onnx", "model": "net.onnx", "rank": 3}, "onnx keeps all components"),
    ],
)
def test_what_a_method_does_not_take_is_refused_in_the_form(given, words):
    with pytest.raises(ValueError, match=words):
        DenoiseParams(source="x.npy", **given)
    assert DenoiseParams(source="x.npy", method="hyres", rank=3).rank == 3


def test_the_form_offers_every_method():
    from typing import get_args

    from flows.denoise import Method
    from tasks.denoise.methods import METHODS

    assert set(get_args(Method)) == set(METHODS)

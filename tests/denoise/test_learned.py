"""Learned denoisers, on graphs built here: windowed equals unwindowed, any number of bands, no seam."""

import numpy as np
import pytest
from scipy.ndimage import uniform_filter1d

from storage import denoise as layouts
from storage.product import create
from tasks.denoise import denoise, figures, steps
from tasks.denoise.front import steps as front
from tasks.denoise.learned import Learned, expected_error
from tasks.denoise.learned import steps as learned
from tests.denoise.test_steps import plain_tasks, raw_cube  # noqa: F401

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

CUBE = np.random.default_rng(0).random((70, 60, 11)).astype(np.float32)


def save(path, nodes, shape=(1, 1, "b", "y", "x"), initializers=()):
    from onnx import TensorProto, helper

    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("in", "out")]
    graph = helper.make_graph(nodes, "test", ends[:1], ends[1:], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, path)
    return str(path)


def box(path, size=(3, 9, 9)):
    from onnx import helper, numpy_helper

    weight = np.full((1, 1, *size), 1 / np.prod(size), np.float32)
    pads = [s // 2 for s in size] * 2
    node = helper.make_node("Conv", ["in", "w"], ["out"], pads=pads)
    return save(path, [node], initializers=[numpy_helper.from_array(weight, "w")])


def test_the_identity_changes_nothing(tmp_path):
    from onnx import helper

    model = save(tmp_path / "identity.onnx", [helper.make_node("Identity", ["in"], ["out"])])
    assert np.allclose(denoise(CUBE, "onnx", model=model, window=(32, 32, 5)), CUBE, atol=1e-6)


def test_a_box_filter_leaves_no_seam(tmp_path):
    model = box(tmp_path / "box.onnx")
    found = denoise(CUBE, "onnx", model=model, reach=(4, 4, 1), window=(30, 26, 7))
    want = CUBE
    for axis, size in ((0, 9), (1, 9), (2, 3)):
        want = uniform_filter1d(want, size, axis=axis, mode="constant")
    assert np.abs(found - want).max() < 1e-5


def test_a_model_of_the_wrong_shape_is_refused(tmp_path):
    from onnx import helper

    flat = save(tmp_path / "flat.onnx", [helper.make_node("Identity", ["in"], ["out"])], ("n", "m"))
    with pytest.raises(ValueError, match=r"expected \(1, band, y, x\)"):
        denoise(CUBE, "onnx", model=flat)
    large = save(tmp_path / "large.onnx", [helper.make_node("Identity", ["in"], ["out"])], (1, 1, 31, 64, 64))
    with pytest.raises(ValueError, match="takes 64 samples along x, but the cube has 60"):
        denoise(CUBE, "onnx", model=large)


def test_what_is_no_model_is_refused(tmp_path):
    with pytest.raises(ValueError, match="there is no file"):
        denoise(CUBE, "onnx", model=str(tmp_path / "none.onnx"))
    (tmp_path / "text.onnx").write_text("not a model")
    with pytest.raises(ValueError, match="no model that ONNX Runtime can load") as caught:
        denoise(CUBE, "onnx", model=str(tmp_path / "text.onnx"))
    assert "\n" not in str(caught.value)


def test_a_model_sees_its_surroundings_where_samples_are_missing(tmp_path):
    cube = np.full((40, 36, 6), 3, np.float32)
    mask = np.random.default_rng(1).random(cube.shape) > 0.2
    mask[10:14, 20:23] = False
    found = denoise(np.where(mask, cube, np.nan), "onnx", mask=mask, model=box(tmp_path / "box.onnx"), reach=(4, 4, 1))
    assert np.allclose(found[5:-5, 5:-5, 1:-1], 3, atol=1e-4)


def test_stages_give_what_memory_gives(tmp_path, monkeypatch):
    monkeypatch.setattr(learned, "probe_model", learned.probe_model.fn)
    mask = np.random.default_rng(2).random(CUBE.shape) > 0.05
    mask[30:33, 40:44] = False
    product = raw_cube(tmp_path / "raw.zarr", CUBE, mask)
    method = Learned(box(tmp_path / "box.onnx"), reach=(4, 4, 1), window=(30, 26, 7))
    want = denoise(CUBE, "onnx", mask=mask, model=method.model, reach=(4, 4, 1))

    def make(name, layout):
        return create(str(tmp_path / f"{name}.zarr"), layout)

    bands = front.choose_bands.fn(product)
    scene, expected = learned.solve(make, product, bands, method, 32)
    layout = layouts.clean_cube(product, 32, scene.sigma, expected, figures.snr(scene.mean, scene.sigma))
    clean = make("clean", layout)
    removed = learned.restore.fn(product, clean, scene, method, steps.Rare())
    assert np.abs(clean.read() - want).max() < 1e-5
    assert np.array_equal(clean["valid"].read(), mask) and removed["residual_rms"].shape == (11,)


def test_the_error_to_expect_is_the_error_made(tmp_path):
    """On a scene of slow waves: a box of 81 pixels and 3 bands leaves little noise and bends the waves."""
    y, x, band = np.ogrid[:90, :80, :8]
    truth = (np.sin(y / 7) * np.cos(x / 9) + 0.1 * band).astype(np.float32)
    sigma = np.linspace(0.1, 0.4, 8)
    noisy = (truth + sigma * np.random.default_rng(3).standard_normal(truth.shape)).astype(np.float32)
    method = Learned(box(tmp_path / "box.onnx"), reach=(4, 4, 1))
    made = np.sqrt(((method.apply(noisy, None) - truth) ** 2).mean((0, 1)))
    assert np.allclose(
        expected_error(method, noisy, None, sigma), made, rtol=0.15
    )  # 7200 pixels tell it to a few per cent

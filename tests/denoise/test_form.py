"""What the form offers beside the method: bands, a mask, rare pixels kept; the same for any tile."""

import numpy as np
import pytest

from storage import denoise as layouts
from storage.product import create
from tasks.denoise import denoise
from tasks.denoise.bands import named_bands, pieces
from tasks.denoise.front import steps as front
from tasks.denoise.hyres import HyRes
from tests.denoise.scenes import noisy, scene
from tests.denoise.test_steps import CUBE, MASK, plain_tasks, raw_cube, run_steps  # noqa: F401

NM = np.linspace(400, 900, 8)
PIXELS = np.random.default_rng(2).random(CUBE.shape[:2]) > 0.1


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("0", [0]),
        ("0-2, 5", [0, 1, 2, 5]),
        ("400-480 nm", [0, 1]),
        ("690nm, 7", [4, 7]),
        (" 3 - 4 ,6", [3, 4, 6]),
    ],
)
def test_bands_are_numbers_or_wavelengths(text, want):
    assert np.flatnonzero(named_bands(text, 8, NM)).tolist() == want


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("red", '"red" names no band'),
        ("1,,2", "names no band"),
        ("5-2", "runs backwards"),
        ("1.5", "whole numbers"),
        ("8", "band 8 was named, expected 0 to 7"),
        ("1000-1200 nm", "no band lies in 1000-1200 nm"),
    ],
)
def test_bands_that_cannot_be(text, words):
    with pytest.raises(ValueError, match=words) as caught:
        named_bands(text, 8, NM)
    assert "\n" not in str(caught.value)


def test_wavelengths_need_an_axis_of_them():
    assert pieces("450-900 nm") == [(450.0, 900.0, True)]
    with pytest.raises(ValueError, match="no wavelengths"):
        named_bands("450-900 nm", 8, None)


def test_bands_left_out_pass_through(tmp_path):
    product = raw_cube(tmp_path / "raw.zarr", mask=np.ones(CUBE.shape, bool))
    bands = front.choose_bands.fn(product, "400-800 nm")
    assert bands.tolist() == [True] * 6 + [False] * 2
    clean, model, *_ = run_steps(tmp_path, product, 17, bands="400-800 nm")
    assert not model.used[6:].any() and np.array_equal(clean.read()[..., 6:], CUBE[..., 6:])
    want = denoise(CUBE, "hyres", mask=bands)
    assert np.abs(clean.read() - want).max() <= 1e-5 * np.abs(want).max()


@pytest.mark.parametrize("as_product", [False, True])
def test_a_mask_counts_together_with_the_cubes_own(tmp_path, as_product):
    product = raw_cube(tmp_path / "raw.zarr")
    given = tmp_path / "mask.npy"
    np.save(given, PIXELS)
    if as_product:
        given = raw_cube(tmp_path / "mask.zarr", mask=np.broadcast_to(PIXELS[..., None], CUBE.shape))
    masked = front.combine_masks.fn(product, given, create(str(tmp_path / "both.zarr"), layouts.mask(product)))
    clean, *_ = run_steps(tmp_path, masked, 17)
    both = MASK & PIXELS[..., None]
    want = denoise(CUBE, "hyres", mask=both)
    assert np.array_equal(clean["valid"].read(), both)
    assert np.abs(clean.read() - want).max() <= 1e-5 * np.abs(want).max()


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (np.ones((3, 4), bool), r"mask has shape \(3, 4\)"),
        (np.ones(CUBE.shape), "expected booleans"),
        (np.zeros(CUBE.shape[:2], bool), "no sample valid"),
    ],
)
def test_a_mask_that_cannot_be(tmp_path, mask, words):
    product = raw_cube(tmp_path / "raw.zarr")
    np.save(tmp_path / "mask.npy", mask)
    with pytest.raises(ValueError, match=words):
        front.combine_masks.fn(product, tmp_path / "mask.npy", product)


def test_a_file_that_is_no_mask(tmp_path):
    (tmp_path / "mask.txt").write_text("none")
    with pytest.raises(ValueError, match="no array of NumPy"):
        front.given_mask(tmp_path / "mask.txt")


def test_no_band_left(tmp_path):
    product = raw_cube(tmp_path / "raw.zarr", mask=np.zeros(CUBE.shape, bool))
    with pytest.raises(ValueError, match="no band is left"):
        front.choose_bands.fn(product)


@pytest.mark.parametrize("edge", [17, 64])
def test_rare_pixels_keep_their_values_whatever_the_tile(tmp_path, edge):
    truth = scene(50, 37, 24)
    truth[24, 18] += 0.5 * np.sin(np.arange(24) * 2.1)
    cube = noisy(truth, 0.02)
    mask = np.ones(cube.shape, bool)
    mask[24, 18, 3] = False
    product = raw_cube(tmp_path / "raw.zarr", cube, mask)
    clean, _, _, removed = run_steps(tmp_path, product, edge, HyRes(2), keep_rare=True)
    lost, *_ = run_steps(tmp_path, product, edge + 1, HyRes(2))

    assert np.array_equal(clean.read()[24, 18][mask[24, 18]], cube[24, 18][mask[24, 18]])
    assert abs(lost.read()[24, 18] - cube[24, 18]).max() > 0.2
    assert removed["kept_fraction"] < 0.01
    want = denoise(cube, "hyres", mask=mask, rank=2, keep_rare=True)
    assert np.abs(clean.read() - want).max() <= 1e-5 * np.abs(want).max()

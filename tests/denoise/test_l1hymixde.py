"""Mixed noise: stripes, dead lines and impulses are found, and the scene comes out as if they were not there."""

import json
from pathlib import Path

import numpy as np
import pytest

from tasks.array.namespace import to_host
from tasks.denoise import denoise
from tasks.denoise.outliers import repair
from tests.denoise.scenes import noisy, psnr, scene

SIGMA = np.full(24, 0.02)
CONFORMANCE = Path(__file__).parents[2].parent / "shared" / "conformance" / "denoise"


def mixed(clean, sigma=0.02, seed=4):
    """Gaussian noise, and where each other kind was put: (cube, offsets, dead, impulse)."""
    cube = noisy(clean, sigma, seed)
    rng = np.random.default_rng(seed)
    _, nx, n_band = clean.shape
    offsets, dead = np.zeros((nx, n_band), np.float32), np.zeros((nx, n_band), bool)
    offsets[rng.integers(0, nx, 60), rng.integers(0, n_band, 60)] = rng.choice([-0.1, 0.1], 60)
    dead[rng.integers(0, nx, 12), rng.integers(0, n_band, 12)] = True
    impulse = rng.random(clean.shape) < 0.005
    cube += offsets
    cube[:, dead] = 0
    cube[impulse] = rng.random(impulse.sum()) > 0.5
    return cube, offsets, dead, impulse


def test_each_kind_of_outlier_is_found():
    clean = scene(80, 64).astype(np.float32)
    cube, offsets, dead, impulse = mixed(clean)
    found = repair(cube, clean, None, SIGMA)
    alive = ~dead

    assert np.abs(found.offsets - offsets)[alive].max() < 0.02
    assert found.outlier[:, dead].all()
    assert found.outlier[impulse].mean() > 0.95  # some impulses fall on the value that was there
    assert found.outlier[~impulse & alive].mean() < 1e-3
    assert np.abs(found.cube - clean).max() < 0.02 * 6


def test_nothing_is_found_where_nothing_is():
    clean = scene(80, 64).astype(np.float32)
    found = repair(noisy(clean, 0.02), clean, None, SIGMA)
    assert found.outlier.mean() < 1e-4
    assert (found.offsets != 0).mean() < 1e-3


def test_outliers_leave_no_trace(xp):
    clean = scene(80, 64)
    cube = mixed(clean)[0]
    restored = to_host(denoise(xp.asarray(cube), "l1hymixde"))
    assert restored.dtype == np.float32
    assert psnr(clean, restored) > psnr(clean, denoise(cube, "fasthyde")) + 3
    assert psnr(clean, restored) > psnr(clean, denoise(noisy(clean, 0.02), "fasthyde")) - 3


def test_a_rare_pixel_is_no_outlier():
    clean = scene(48, 40).astype(np.float32)
    cube = noisy(clean, 0.02)
    cube[20, 20, ::2] += 0.3
    found = repair(cube, clean, None, SIGMA)
    assert np.allclose(found.cube[20, 20], cube[20, 20], atol=1e-6)


def test_stripes_along_rows():
    clean = scene(80, 64)
    cube = mixed(clean)[0]
    turned = denoise(np.swapaxes(cube, 0, 1), "l1hymixde", stripes="rows", repeats=1)
    assert np.array_equal(np.swapaxes(turned, 0, 1), denoise(cube, "l1hymixde", repeats=1))


def test_masked_samples_have_no_influence():
    clean = scene(48, 40)
    mask = np.random.default_rng(2).random(clean.shape) > 0.02
    cube = mixed(clean)[0]
    restored = denoise(cube, "l1hymixde", mask=mask, repeats=1)
    assert np.array_equal(
        restored, denoise(np.where(mask, cube, np.float32(np.nan)), "l1hymixde", mask=mask, repeats=1)
    )


@pytest.mark.parametrize(
    ("options", "words"), [({"stripes": "both"}, 'expected "columns" or "rows"'), ({"repeats": -1}, "repeats is -1")]
)
def test_one_clear_sentence(options, words):
    with pytest.raises(ValueError, match=words):
        denoise(scene(16, 16, 8), "l1hymixde", **options)


@pytest.mark.skipif(not CONFORMANCE.exists(), reason="no conformance data beside the checkout")
def test_at_least_as_good_as_the_best_of_hyde():
    case = next(c for c in json.loads((CONFORMANCE / "manifest.json").read_text())["cases"] if "mixed" in c["id"])
    clean, cube = (np.load(CONFORMANCE / case[k]) for k in ("clean", "noisy"))
    clean, cube = clean[clean.files[0]], cube[cube.files[0]]
    assert psnr(clean, denoise(cube, "l1hymixde")) > max(o["metrics"]["psnr"] for o in case["outputs"]) + 3

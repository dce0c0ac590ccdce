"""The patch filter: what it gains, and that neither tiles, holes, order nor size change what they should not."""

import numpy as np
import pytest

from tasks.array.namespace import to_host
from tasks.array.tiling import tiles
from tasks.denoise.patches import HALO, denoise_images, halo_for
from tests.denoise.scenes import scene


def images(ny=48, nx=40, n=3, strength=20.0, seed=0):
    """(n, y, x) float64 images of a scene, in units of the noise."""
    bands = scene(ny, nx, n, n_end=min(n, 3), seed=seed)
    return strength * (bands / bands.std()).transpose(2, 0, 1)


def noisy(clean, sigma=1.0, seed=5):
    rng = np.random.default_rng(seed)
    return (clean + rng.standard_normal(clean.shape) * np.reshape(sigma, (-1, 1, 1))).astype(np.float32)


def rms(error):
    return float(np.sqrt(np.mean(np.square(error))))


def test_removes_most_of_the_noise(xp):
    clean = images(64, 64)
    restored = denoise_images(xp.asarray(noisy(clean)), xp.ones(3))
    assert restored.shape == clean.shape and restored.dtype == np.float32
    assert rms(to_host(restored) - clean) < 0.42


def test_images_of_one_scene_help_each_other():
    clean = images(64, 64)
    together = denoise_images(noisy(clean), np.ones(3))
    alone = np.concatenate([denoise_images(image[None], np.ones(1)) for image in noisy(clean)])
    assert rms(together - clean) < 0.9 * rms(alone - clean)


def test_pure_noise_becomes_its_mean():
    cube = noisy(np.full((2, 48, 48), 100.0))
    restored = denoise_images(cube, np.ones(2))
    assert rms(restored - cube.mean((1, 2), keepdims=True)) < 0.15  # groups of 32 patches keep their own means


def test_a_strong_signal_is_left_alone():
    clean = images(strength=1e5).astype(np.float32)
    restored = denoise_images(clean, np.ones(3))
    assert rms(restored - clean) < 0.5


def test_noise_of_another_size_is_scaled():
    sigma = np.array([0.5, 2.0, 8.0])
    cube = noisy(images(), 1.0)
    scaled = denoise_images(cube * sigma[:, None, None].astype(np.float32), sigma)
    assert np.array_equal(scaled, denoise_images(cube, np.ones(3)) * sigma[:, None, None])  # powers of two are exact


@pytest.mark.parametrize(("shape", "edge"), [((90, 200), (30, 64)), ((170, 31), (50, 31)), ((20, 19), (7, 11))])
@pytest.mark.parametrize("holes", [False, True])
def test_a_tile_gets_the_same_bits_as_the_scene(shape, edge, holes):
    cube = noisy(images(*shape, n=2))
    mask = None
    if holes:
        mask = np.random.default_rng(3).random(shape) > 0.05
        mask[5:9, 8:13] = False
    whole = denoise_images(cube, np.ones(2), mask)
    # the filling of holes sums boxes in an order that begins at the block's border
    tolerance = 1e-5 * np.abs(whole).max() if holes else 0.0
    for tile in reversed(tiles(shape, edge, halo_for(holes))):
        part = denoise_images(
            cube[(slice(None), *tile.read)], np.ones(2), None if mask is None else mask[tile.read], tile
        )
        assert np.abs(part[(slice(None), *tile.trim)] - whole[(slice(None), *tile.core)]).max() <= tolerance


@pytest.mark.parametrize("shape", [(1, 40), (3, 3), (5, 30), (8, 8), (1, 1), (9, 100)])
def test_any_size_is_valid(shape):
    cube = np.random.default_rng(0).standard_normal((2, *shape)).astype(np.float32)
    restored = denoise_images(cube, np.ones(2))
    assert restored.shape == cube.shape and np.isfinite(restored).all()


def test_more_images_than_one_group_rotates():
    clean = np.concatenate([images(n=3), np.zeros((15, 48, 40))])
    restored = denoise_images(noisy(clean), np.ones(18))
    assert rms(restored[:3] - clean[:3]) < 0.5 and rms(restored[3:]) < 0.2


def test_holes_have_no_influence_and_are_filled():
    clean = images(64, 64)
    mask = np.random.default_rng(1).random((64, 64)) > 0.1
    mask[30:34, 40:44] = False
    cube = noisy(clean)
    restored = denoise_images(np.where(mask, cube, np.float32(np.nan)), np.ones(3), mask)

    assert np.array_equal(restored, denoise_images(np.where(mask, cube, np.float32(1e9)), np.ones(3), mask))
    assert rms((restored - clean)[:, mask]) < 0.45
    assert rms((restored - clean)[:, ~mask]) < 0.15 * clean.std()


def test_the_input_is_not_touched():
    cube = noisy(images())
    before = cube.copy()
    denoise_images(cube, np.ones(3))
    assert np.array_equal(cube, before)


@pytest.mark.parametrize(
    ("cube", "sigma", "mask", "words"),
    [
        (np.ones((8, 8)), [1.0], None, "three non-empty axes"),
        (np.ones((2, 8, 8)), [1.0], None, "one positive number for each"),
        (np.ones((2, 8, 8)), [1.0, 0.0], None, "one positive number for each"),
        (np.ones((1, 8, 8)), [1.0], np.ones((3, 3), bool), "mask is bool of shape"),
        (np.ones((1, 8, 8)), [1.0], np.zeros((8, 8), bool), "with 0 True"),
        (np.full((1, 8, 8), np.nan), [1.0], None, "NaN or infinity"),
    ],
)
def test_one_clear_sentence(cube, sigma, mask, words):
    with pytest.raises(ValueError, match=words) as caught:
        denoise_images(cube, sigma, mask)
    assert "\n" not in str(caught.value)


def test_the_halo_is_as_documented():
    """A pixel moves nothing beyond it."""
    cube = np.random.default_rng(4).standard_normal((1, 10, 2 * HALO + 11)).astype(np.float32)
    other = cube.copy()
    other[0, 5, HALO + 5] += 50
    changed = np.flatnonzero((denoise_images(cube, [1.0]) != denoise_images(other, [1.0])).any((0, 1)))
    assert changed.min() >= 5 and changed.max() <= 2 * HALO + 5

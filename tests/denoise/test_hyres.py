"""HyRes: what it gains, and that neither tiles, masks nor odd bands change what they should not."""

from operator import add

import numpy as np
import pytest

from tasks.array.namespace import to_host
from tasks.array.statistics import tree_reduce
from tasks.array.tiling import tiles
from tasks.denoise import denoise, estimate_noise
from tasks.denoise.checks import checked_cube, usable_bands
from tasks.denoise.hyres import HyRes
from tasks.denoise.moments import measure, merge
from tasks.denoise.scene import solve_scene
from tasks.denoise.scores import project
from tests.denoise.scenes import noisy, psnr, scene

SIGMA = 0.03


def test_removes_most_of_the_noise(xp):
    clean = scene()
    restored = denoise(xp.asarray(noisy(clean, SIGMA)), "hyres")

    assert restored.shape == clean.shape and restored.dtype == np.float32
    assert psnr(clean, to_host(restored)) > psnr(clean, noisy(clean, SIGMA)) + 10


def test_noise_is_found_band_by_band(xp):
    clean = scene(64, 64)
    sigma = np.linspace(0.01, 0.05, clean.shape[2])
    found = estimate_noise(xp.asarray(noisy(clean, sigma)))
    assert np.allclose(found, sigma, rtol=0.1)  # 1 / sqrt(2 * 4096) = 1 % each, plus what regression leaves


def test_a_clean_scene_is_left_alone():
    clean = scene().astype(np.float32)
    assert np.abs(denoise(clean, "hyres") - clean).max() < 1e-3


def by_tiles(cube, mask, edge, order=1):
    """HyRes as the steps run it: pass after pass, tile after tile."""
    cube, valid = checked_cube(cube, mask)
    method = HyRes()
    bands = usable_bands(np.full(cube.shape[2], cube[..., 0].size) if valid is None else valid.sum((0, 1)))
    cells = tiles(cube.shape[:2], edge)
    part = [measure(cube[t.core], None if valid is None else valid[t.core], bands) for t in cells]
    model = solve_scene(tree_reduce(part, merge), bands, cube.shape[:2])
    scores = np.empty((*cube.shape[:2], model.n_component), np.float32)
    for t in cells[::order]:
        scores[t.core] = project(cube[t.core], None if valid is None else valid[t.core], model)
    wide = [t.with_halo(method.halo(model)) for t in cells]
    plan = method.solve(tree_reduce([method.survey(scores[t.read], t, model) for t in wide], add), model)
    out = np.empty_like(cube)
    for t in wide[::order]:
        out[t.core] = method.restore(scores[t.read], t, model, plan)
    return out


@pytest.mark.parametrize("shape", [(61, 203, 12), (40, 17, 6), (5, 30, 4), (3, 3, 2), (1, 40, 3), (64, 64, 8)])
@pytest.mark.parametrize("edge", [(17, 17), (64, 64), (512, 512), (5, 31)])
@pytest.mark.parametrize("holes", [False, True])
def test_the_answer_does_not_depend_on_tiles(shape, edge, holes):
    cube = noisy(scene(*shape[:2], shape[2], n_end=2), SIGMA)
    mask = None
    if holes:
        rng = np.random.default_rng(3)
        mask = rng.random(shape[:2])[..., None] * np.ones(shape) > 0.05
        mask &= rng.random(shape) > 0.005
    whole = denoise(cube, "hyres", mask=mask)
    tiled = by_tiles(cube, mask, edge, order=-1)
    assert np.abs(tiled - whole).max() <= 1e-5 * np.abs(whole).max()


def test_masked_samples_have_no_influence():
    cube = noisy(scene(), SIGMA)
    mask = np.random.default_rng(2).random(cube.shape) > 0.02
    mask[10:14, 20:23] = False
    spoilt = np.where(mask, cube, np.float32(np.nan))
    restored = denoise(cube, "hyres", mask=mask)

    assert np.array_equal(restored, denoise(spoilt, "hyres", mask=mask))
    assert np.isfinite(restored).all()


def test_masked_samples_are_filled_plausibly():
    clean = scene(64, 64)
    mask = np.random.default_rng(2).random(clean.shape) > 0.02
    mask[44:47, 44:47] = False
    restored = denoise(noisy(clean, SIGMA), "hyres", mask=mask)

    assert np.sqrt(((restored - clean)[~mask] ** 2).mean()) < SIGMA
    full = denoise(noisy(clean, SIGMA), "hyres")
    assert psnr(clean, restored) > psnr(clean, full) - 1.5


def test_bands_that_say_nothing_pass_through():
    cube = noisy(scene(), SIGMA)
    cube[..., 3] = 0.25
    mask = np.ones(cube.shape, bool)
    mask[..., 7] = False
    restored = denoise(cube, "hyres", mask=mask)

    assert np.array_equal(restored[..., 3], cube[..., 3])
    assert np.array_equal(restored[..., 7], cube[..., 7])
    others = [b for b in range(cube.shape[2]) if b not in (3, 7)]
    assert np.allclose(restored[..., others], denoise(cube[..., others], "hyres"), atol=1e-6)


def test_scaling_the_cube_scales_the_answer():
    cube = noisy(scene(), SIGMA)
    assert np.allclose(denoise(cube * 1e4, "hyres"), denoise(cube, "hyres") * 1e4, rtol=2e-4)


def test_integers_are_accepted():
    cube = np.rint(noisy(scene(), SIGMA) * 1e4).clip(0).astype(np.uint16)
    assert np.allclose(denoise(cube, "hyres"), denoise(cube.astype(np.float32), "hyres"))


def test_rank_can_be_given():
    cube = noisy(scene(), SIGMA)
    restored = denoise(cube, "hyres", rank=1).reshape(-1, cube.shape[2])
    assert np.linalg.matrix_rank(restored - restored.mean(0), tol=1e-3) == 1

"""What every method of score images must hold: it helps, and neither tiles nor units nor holes change what it says."""

import numpy as np
import pytest

from tasks.array.namespace import to_host
from tasks.array.tiling import tiles
from tasks.denoise import denoise
from tasks.denoise.methods import available, method
from tasks.denoise.otvca import probes
from tasks.denoise.streaming import ScoreMethod, project_cube, survey_cube
from tests.denoise.scenes import noisy, psnr, scene

SIGMA = 0.03
CLEAN = scene(48, 40, 24)
NOISY = noisy(CLEAN, SIGMA)
NAMES = ["hyres", "hyminor", "forpdn", "wsrrr", "otvca", "rctv"]


def by_tiles(chosen: ScoreMethod, cube, edge):
    """The passes over tiles, without the front end (which has tests of its own)."""
    model = chosen.adapt(survey_cube(cube, None, chosen.rank))
    scores = project_cube(cube, None, model)
    cells = tiles(cube.shape[:2], edge, chosen.halo(model))
    plan = None
    for _ in range(chosen.rounds):
        plan = chosen.solve(sum(chosen.survey(scores[t.read], t, model, plan) for t in cells), model, plan)
    for _ in range(chosen.alternations):
        moved = np.empty_like(scores)
        for t in cells:
            moved[t.core] = chosen.alternated(cube[t.core], None, scores[t.read], t, model, plan)
        scores = moved
    out = np.empty_like(cube)
    for t in cells[::-1]:
        out[t.core] = chosen.restore(scores[t.read], t, model, plan)
    return out, model, plan


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("edge", [(17, 31), (9, 64)])
def test_tiles_do_not_matter(name, edge):
    chosen = method(name, robust=False)
    whole, *_ = by_tiles(chosen, NOISY, (64, 64))
    tiled, *_ = by_tiles(chosen, NOISY, edge)
    assert np.abs(tiled - whole).max() <= 1e-5 * np.abs(whole).max()
    assert np.array_equal(whole, denoise(NOISY, name, robust=False))


@pytest.mark.parametrize("name", NAMES)
def test_the_noise_goes_down(xp, name):
    least = 6 if name == "forpdn" else 12
    restored = to_host(denoise(xp.asarray(NOISY), name))
    assert psnr(CLEAN, restored) > psnr(CLEAN, NOISY) + least


@pytest.mark.parametrize("name", NAMES)
def test_the_expected_error_is_near_the_true_one(name):
    chosen = method(name, robust=False)
    restored, model, plan = by_tiles(chosen, NOISY, (64, 64))
    expected = chosen.expected_error(model, plan)
    actual = np.sqrt(((restored - CLEAN) ** 2).mean((0, 1)))
    assert 0.5 < np.median(expected / actual) < 2


@pytest.mark.parametrize("name", NAMES)
def test_units_do_not_matter(name):
    assert np.allclose(denoise(NOISY * 1e4, name), denoise(NOISY, name) * 1e4, rtol=1e-3, atol=1)


@pytest.mark.parametrize("name", NAMES)
def test_holes_are_filled_and_have_no_influence(name):
    mask = np.random.default_rng(2).random(NOISY.shape) > 0.01
    mask[30:33, 20:22] = False
    spoilt = np.where(mask, NOISY, np.float32(np.nan))
    restored = denoise(NOISY, name, mask=mask)
    assert np.array_equal(restored, denoise(spoilt, name, mask=mask))
    assert psnr(CLEAN, restored) > psnr(CLEAN, NOISY) + 5


def test_the_table_names_modules_that_exist():
    assert set(NAMES) | {"auto"} <= set(available())


def test_hyminor_wants_a_weight():
    with pytest.raises(ValueError, match="expected a positive number"):
        denoise(NOISY, "hyminor", weight=0.0)


@pytest.mark.parametrize("name", ["otvca", "rctv"])
def test_the_seed_moves_the_probe_and_little_else(name):
    first, again, other = (denoise(NOISY, name, robust=False, seed=seed) for seed in (0, 0, 5))
    assert np.array_equal(first, again)
    assert abs(psnr(CLEAN, first) - psnr(CLEAN, other)) < 0.5


def test_probes_are_fair_and_differ_between_seeds():
    (tile,) = tiles((60, 60), (60, 60))
    one, two = (probes(tile, 0, np, seed) for seed in (0, 1))
    assert abs(one.mean()) < 0.1 and abs(two.mean()) < 0.1 and abs((one * two).mean()) < 0.1

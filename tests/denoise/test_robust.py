"""The robust front end: it finds what was put in, leaves alone what was not, and `auto` knows when it is needed."""

import numpy as np
import pytest

from tasks.denoise import denoise, estimate_noise
from tasks.denoise.automatic import diagnose_cube
from tasks.denoise.robust import fit_robust, mend
from tasks.denoise.sample import MOST, sample_lines
from tests.denoise.scenes import noisy, psnr, scene

CLEAN = scene(64, 60, 32)
SIGMA = 0.02
EVERY = np.ones(32, bool)


def damaged():
    """Impulses, stripes and dead columns; and where they are."""
    rng = np.random.default_rng(7)
    cube = noisy(CLEAN, SIGMA)
    stripes = np.zeros((60, 32), bool)
    stripes[rng.integers(0, 60, 25), rng.integers(0, 32, 25)] = True
    cube += np.where(stripes, np.float32(0.1), np.float32(0))
    impulses = rng.random(cube.shape) < 0.01
    cube[impulses] = (rng.random(impulses.sum()) < 0.5).astype(np.float32)
    dead = np.zeros((60, 32), bool)
    dead[[5, 6, 40], [3, 3, 20]] = True
    cube[:, dead] = 0.0
    return cube, impulses, stripes & ~dead, dead


def test_finds_what_was_put_in():
    cube, impulses, stripes, dead = damaged()
    found = mend(cube, None, fit_robust(cube, None, EVERY))

    assert np.array_equal(found.dead, dead)
    assert (found.offset != 0)[stripes].mean() > 0.95
    assert (found.offset != 0)[~stripes & ~dead].mean() < 0.01
    assert found.outlier[impulses].mean() > 0.95
    assert found.outlier[~impulses & ~dead].mean() < 1e-3
    assert np.allclose(found.offset[stripes & (found.offset != 0)], 0.1, atol=1.25 * SIGMA)  # the fit takes its share


def test_the_noise_is_found_under_the_damage():
    cube, *_ = damaged()
    assert np.allclose(fit_robust(cube, None, EVERY).sigma, SIGMA, rtol=0.15)


def test_gaussian_noise_is_left_alone():
    cube = noisy(CLEAN, SIGMA)
    found = mend(cube, None, fit_robust(cube, None, EVERY))
    assert found.outlier.mean() < 3e-4
    assert not found.dead.any()
    assert not found.rare.any()


def test_strips_of_columns_do_not_matter():
    cube, *_ = damaged()
    model = fit_robust(cube, None, EVERY)
    whole = mend(cube, None, model).cube
    strips = np.concatenate([mend(cube[:, i : i + 7], None, model).cube for i in range(0, 60, 7)], axis=1)
    assert np.abs(strips - whole).max() < 1e-5


def test_a_rare_material_is_kept():
    cube = noisy(CLEAN, SIGMA)
    cube[30:33, 30:33] += np.linspace(0.3, -0.3, 32, dtype=np.float32)
    found = mend(cube, None, fit_robust(cube, None, EVERY))
    changed = found.cube[30:33, 30:33] - cube[30:33, 30:33] + found.offset[30:33]
    assert np.abs(changed).max() < 5 * SIGMA
    assert found.outlier[30:33, 30:33].mean() < 0.02


def test_masked_samples_are_filled_and_empty_pixels_stay_empty():
    cube = noisy(CLEAN, SIGMA)
    valid = np.random.default_rng(1).random(cube.shape) > 0.05
    valid[10:12, 10:12] = False
    hidden = np.where(valid, cube, np.float32(0))
    found = mend(hidden, valid, fit_robust(hidden, valid, EVERY))

    assert np.isnan(found.cube[10:12, 10:12]).all()
    filled = ~valid & valid.any(-1, keepdims=True)
    assert np.sqrt(((found.cube - CLEAN)[filled] ** 2).mean()) < SIGMA
    assert not found.outlier[~valid].any()


def test_hyres_gains_what_the_damage_cost():
    cube, *_ = damaged()
    good = psnr(CLEAN, denoise(noisy(CLEAN, SIGMA), "hyres"))
    assert psnr(CLEAN, denoise(cube, "hyres", robust=True)) > good - 2
    assert psnr(CLEAN, denoise(cube, "hyres")) < good - 6


def test_auto_says_why():
    cube, *_ = damaged()
    mixed = diagnose_cube(cube, None)[1]
    assert mixed.mixed
    assert any("impulses" in reason for reason in mixed.reasons)
    assert any("dead" in reason for reason in mixed.reasons)
    assert any("stripes" in reason for reason in mixed.reasons)

    unequal = diagnose_cube(noisy(CLEAN, np.linspace(0.005, 0.05, 32)), None)[1]
    assert not unequal.mixed
    assert unequal.reasons == ("the noise differs between bands",)

    signal = np.random.default_rng(0).poisson(CLEAN * 500) / 500
    assert any(
        "grows with the signal" in reason for reason in diagnose_cube(signal.astype(np.float32), None)[1].reasons
    )


@pytest.fixture(scope="module")
def indian_pines():
    """A real scene, whose fields no subspace of few components knows in every band."""
    datasets = pytest.importorskip("tensorly.datasets", reason="the scene comes with the package tensorly")
    return np.asarray(datasets.load_indian_pines().tensor, np.float32)[:, :, ::2]


@pytest.mark.parametrize(
    "part", [np.s_[:], np.s_[:100, :100], np.s_[45:, 30:], np.s_[..., :50], np.s_[..., ::2]], ids=str
)
def test_fields_of_a_real_scene_are_no_damage(indian_pines, part):
    found = diagnose_cube(indian_pines[part], None)[1]
    assert not found.mixed, found


@pytest.mark.parametrize("damage", ["impulses", "stripes", "faint stripes", "dead"])
def test_damage_in_a_real_scene_is_seen(indian_pines, damage):
    rng = np.random.default_rng(5)
    cube = indian_pines.copy()
    sigma = estimate_noise(cube)
    some = rng.random(cube.shape[1:]) < 0.2
    if damage == "impulses":
        hit = rng.random(cube.shape) < 0.004
        cube += np.where(hit, rng.choice([-20, 20], cube.shape) * sigma, 0).astype("f4")
    elif damage == "dead":
        cube[:, rng.random(cube.shape[1:]) < 0.02] = 0
    else:
        cube += (some * rng.standard_normal(some.shape) * sigma * (1 if damage == "faint stripes" else 3)).astype("f4")
    assert diagnose_cube(cube, None)[1].mixed


@pytest.mark.parametrize("counts", [200, 2000])
def test_shaded_photon_noise_is_not_taken_for_stripes(counts):
    y, x = np.linspace(0, 1, 64)[:, None, None], np.linspace(0, 1, 64)[None, :, None]
    truth = scene(64, 64, 24) * (1 - 0.8 * x) * (1 - 0.4 * y)
    cube = np.random.default_rng(1).poisson(truth * counts) / counts
    found = diagnose_cube(cube.astype(np.float32), None)[1]
    assert found.gain is not None and abs(found.gain * counts - 1) < 0.05
    cube[:, ::9, 5] += 0.1
    assert diagnose_cube(cube.astype(np.float32), None)[1].gain is None


@pytest.mark.parametrize("shape", [(3, 5), (200, 200), (5000, 40), (40, 5000), (2000, 3000)])
def test_a_sample_lies_in_the_scene_and_is_not_too_large(shape):
    rows, columns = sample_lines(shape)
    assert rows.max() < shape[0]
    assert columns.max() < shape[1]
    assert len(rows) * len(columns) <= MOST * 1.1
    assert len(np.unique(columns)) == len(columns)

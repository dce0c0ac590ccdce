"""RCTV: the sparse part goes, whether or not the front end has found it; the Gaussian scene is as without it."""

import numpy as np
import pytest

from tasks.array.namespace import to_host
from tasks.array.tiling import tiles
from tasks.denoise import denoise
from tasks.denoise.methods import method
from tasks.denoise.otvca import smoothed
from tasks.denoise.scores import back_project
from tasks.denoise.streaming import project_cube, survey_cube
from tests.denoise.scenes import noisy, psnr, scene
from tests.denoise.test_l1hymixde import mixed

SIGMA = 0.02
CLEAN = scene(80, 64)
MIXED = mixed(CLEAN, SIGMA)[0]


def impulsive(fraction=0.03):
    cube = noisy(CLEAN, SIGMA)
    rng = np.random.default_rng(3)
    hit = rng.random(cube.shape) < fraction
    cube[hit] = rng.random(hit.sum()) > 0.5
    return cube


@pytest.mark.parametrize(("cube", "least"), [(MIXED, 4), (impulsive(), 3)])
def test_the_l1_norm_takes_the_sparse_part_out(xp, cube, least):
    gaussian = psnr(CLEAN, denoise(cube, "rctv", robust=False, alternations=0))
    assert psnr(CLEAN, to_host(denoise(xp.asarray(cube), "rctv", robust=False))) > gaussian + least


def test_mixed_noise_with_the_front_end():
    assert psnr(CLEAN, denoise(MIXED, "rctv")) > psnr(CLEAN, denoise(MIXED, "otvca")) + 10
    assert psnr(CLEAN, denoise(MIXED, "rctv")) > psnr(CLEAN, denoise(noisy(CLEAN, SIGMA), "rctv")) - 5
    assert psnr(CLEAN, denoise(impulsive(), "rctv")) > psnr(CLEAN, denoise(impulsive(), "otvca", robust=True)) + 2


def test_gaussian_noise_loses_next_to_nothing():
    cube = noisy(CLEAN, SIGMA)
    assert psnr(CLEAN, denoise(cube, "rctv")) > psnr(CLEAN, denoise(cube, "otvca")) - 0.3


def test_the_steps_go_down_the_objective_and_settle():
    """Half the squared misfit up to the limit, linear beyond (what remains once the sparse part is minimised out)."""
    cube = impulsive()
    chosen = method("rctv", robust=False)
    scene_ = survey_cube(cube, None)
    scores = project_cube(cube, None, scene_)
    (tile,) = tiles(scene_.shape, scene_.shape, chosen.halo(scene_))
    plan = chosen.solve(chosen.survey(scores, tile, scene_), scene_)

    def objective(scores):
        kept = smoothed(scores, tile, chosen.halo(scene_), plan)
        away = np.abs(cube - back_project(kept, scene_))[..., scene_.used] / scene_.sigma[scene_.used]
        huber = np.where(away < chosen.limit, away**2 / 2, chosen.limit * away - chosen.limit**2 / 2).sum()
        d_y = np.diff(kept, axis=0, append=kept[-1:])
        d_x = np.diff(kept, axis=1, append=kept[:, -1:])
        return huber + (np.sqrt(d_y**2 + d_x**2).sum((0, 1)) * plan.weight).sum()

    values = []
    for _ in range(25):
        values.append(objective(scores))
        scores = chosen.alternated(cube, None, scores, tile, scene_, plan)
    assert values[10] < values[0]
    assert abs(values[-1] - values[-2]) < 1e-3 * abs(values[0] - values[-1])


@pytest.mark.parametrize(
    ("options", "words"),
    [({"limit": 0.0}, "expected a positive number of sigma"), ({"alternations": -1}, "alternations is -1")],
)
def test_one_clear_sentence(options, words):
    with pytest.raises(ValueError, match=words):
        denoise(CLEAN, "rctv", **options)

"""The uncertainty of a linear method: what it says is what its filter does, sample by sample."""

import numpy as np
import pytest

from tasks.array.tiling import tiles
from tasks.denoise.forpdn import FORPDN, Gains
from tasks.denoise.scene import SceneModel
from tasks.denoise.starlet import REACH
from tasks.denoise.streaming import project_cube, survey_cube
from tasks.denoise.uncertainty import overlaps
from tests.denoise.scenes import noisy, scene


def test_it_is_the_energy_of_the_filter_at_every_pixel():
    """Without mixing of bands: every impulse's response, squared and summed over all impulses."""
    shape, n = (9, 21), 3
    model = SceneModel(
        shape, np.zeros(n), np.array([1.0, 2.0, 0.5]), np.ones(n, bool), np.ones(n), np.eye(n), 99, False
    )
    gains = Gains(np.array([[0.1, 0.5, 0.9, 1], [0, 0, 0.2, 0.8], [1, 1, 1, 1]], float), np.ones(n))
    method = FORPDN()
    (tile,) = tiles(shape, shape, method.halo(model))
    energy = np.zeros((*shape, n))
    for y, x in np.ndindex(*shape):
        scores = np.zeros((*shape, n), np.float32)
        scores[y, x] = 1
        energy += method.restore(scores, tile, model, gains).astype(float) ** 2
    assert np.allclose(method.uncertainty(tile, model, gains), np.sqrt(energy), rtol=1e-4)


def test_noise_alone_scatters_as_it_says():
    sigma = np.linspace(0.01, 0.05, 10)
    truth = scene(30, 26, 10)
    method = FORPDN()
    cubes = [noisy(truth, sigma, seed) for seed in range(60)]
    model = method.adapt(survey_cube(cubes[0], None))
    (tile,) = tiles(model.shape, model.shape, method.halo(model))
    scores = [project_cube(cube, None, model) for cube in cubes]
    plan = method.solve(method.survey(scores[0], tile, model), model)
    said = method.uncertainty(tile, model, plan)
    found = np.std([method.restore(s, tile, model, plan) for s in scores], axis=0)
    ratio = (found / said).mean((0, 1))
    assert np.allclose(ratio, 1, atol=0.15)  # the noise itself is only estimated
    assert (said < model.sigma).all()


@pytest.mark.parametrize("edge", [7, 64])
def test_tiles_do_not_matter(edge):
    cube = noisy(scene(30, 26, 10))
    method = FORPDN()
    model = method.adapt(survey_cube(cube, None))
    gains = Gains(np.random.default_rng(0).random((model.n_component, 4)), np.ones(model.n_component))
    (whole,) = tiles(model.shape, model.shape)
    said = method.uncertainty(whole, model, gains)
    for tile in tiles(model.shape, (edge, edge)):
        assert np.allclose(method.uncertainty(tile, model, gains), said[tile.core], rtol=1e-6)


def test_a_short_axis_stands_for_a_long_one():
    exact, long = overlaps(4 * REACH), overlaps(10 * REACH)
    assert np.allclose(exact[:, : 2 * REACH], long[:, : 2 * REACH])
    assert np.allclose(exact[:, 2 * REACH :], long[:, -2 * REACH :])

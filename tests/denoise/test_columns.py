"""The noise of every column and of every band of a raw cube: what was put in comes out."""

import numpy as np

from storage import ingest as layouts
from storage.product import create
from tasks.array.namespace import to_host
from tasks.array.tiling import tiles
from tasks.denoise.columns import _cpu, _gpu, column_sigma, sample_rows
from tasks.denoise.front.steps import measure_noise
from tasks.denoise.robust import sample_sigma
from tasks.ingest import open_source
from tasks.ingest.steps import copy_tile
from tests.denoise.scenes import noisy, scene

CLEAN = scene(300, 24, 6).astype(np.float32)
TRUE = np.random.default_rng(0).uniform(0.01, 0.04, (24, 6))


def test_a_column_has_its_own_noise(xp):
    cube = noisy(CLEAN, TRUE)
    cube[:, 3] += 0.2
    cube[::50, 5] = 1
    cube[:, 7, 2] = 0
    valid = np.ones(cube.shape, bool)
    valid[:, 9] = False
    valid[::3, 11] = False
    sigma = np.sqrt((TRUE**2).mean(0))
    found = to_host(
        column_sigma(xp.asarray(cube), xp.asarray(CLEAN), xp.asarray(valid), sigma * [1, 1, 1, 1, 1, 0], sigma * 0)
    )
    gone = np.zeros((24, 6), bool)
    gone[9], gone[7, 2] = True, True
    assert np.array_equal(np.isnan(found), gone)
    assert np.allclose(found[:, :5][~gone[:, :5]], TRUE[:, :5][~gone[:, :5]], rtol=0.25)
    assert np.array_equal(found[~gone[:, 5], 5], np.zeros(23))


def test_what_stays_in_the_result_counts():
    cube = noisy(CLEAN, 0.02)
    half = CLEAN + 0.5 * (cube - CLEAN)
    assert np.allclose(column_sigma(cube, half, None, np.full(6, 0.02), np.full(6, 0.0173)).mean(), 0.02, rtol=0.03)


def test_both_twins_find_the_same_spread():
    cube = noisy(CLEAN, TRUE)
    cube[:, 7, 2] = 0
    valid = np.random.default_rng(1).random(cube.shape) > 0.1
    valid[:, 9] = False
    sigma = np.full(6, 0.025, np.float32)
    (found, still), (want, dead) = (twin.spread(cube, CLEAN, valid, sigma) for twin in (_cpu, _gpu))
    assert np.array_equal(still, dead) and still.sum() == 1
    assert np.allclose(found[~still], want[~still], atol=1.25e-3, equal_nan=True)  # 270 rows tell it to 7 %, this is 5


def test_rows_are_spread_over_a_tall_scene():
    assert sample_rows(1024) == [slice(0, 1024)]
    rows = sample_rows(5000)
    assert sum(r.stop - r.start for r in rows) == 1024 and all(r.start % 64 == 0 for r in rows)
    assert rows[0].start == 0 and 4900 < rows[-1].stop <= 5000


def test_a_raw_cube_knows_its_noise(tmp_path):
    sigma = np.linspace(0.01, 0.04, 12)
    np.save(tmp_path / "scene.npy", np.rint(noisy(scene(60, 50, 12), sigma) * 1e4).clip(0).astype(np.uint16))
    source = open_source(str(tmp_path / "scene.npy")).corrected(scale=1e-4)
    raw = create(str(tmp_path / "raw.zarr"), layouts.raw_cube(source.header, 64))
    copy_tile(*tiles(raw.shape, raw.grid), source.slim(), raw)
    measure_noise(raw)
    assert np.allclose(raw["sigma"].read(), sigma, rtol=0.15)


def test_too_little_to_tell_is_not_a_number():
    few = noisy(scene(20, 20, 8))[:3, :2]
    assert np.isnan(sample_sigma(few, np.ones(few.shape, bool))).all()
    cube = noisy(scene(20, 20, 8))
    cube[..., 4] = 1
    valid = np.ones(cube.shape, bool)
    valid[..., 6] = False
    assert np.flatnonzero(np.isnan(sample_sigma(cube, valid))).tolist() == [4, 6]
    assert np.isnan(sample_sigma(cube, np.zeros(cube.shape, bool))).all()

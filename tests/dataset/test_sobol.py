"""Simulated draws: even, and continued tomorrow where they stopped today."""

import numpy as np
import pytest

from storage.dataset import version
from storage.dataset_files import read_index
from storage.reader import ShardReader
from tasks.dataset.sobol import continued_draws

RANGES = {"dm": (10.0, 1000.0), "width": (0.1, 10.0)}


def test_draws_continue():
    whole = continued_draws(0, 40, RANGES, seed=1)
    for start, n in ((0, 13), (13, 27), (39, 1), (5, 0)):
        part = continued_draws(start, n, RANGES, seed=1)
        for name in RANGES:
            np.testing.assert_array_equal(part[name], whole[name][start : start + n])
    assert not np.array_equal(continued_draws(0, 40, RANGES, seed=2)["dm"], whole["dm"])


def test_draws_are_even_in_the_logarithm():
    dm = continued_draws(0, 1024, RANGES, seed=0)["dm"]
    counts, _ = np.histogram(np.log10(dm), bins=16, range=(1, 3))
    assert set(counts) == {64}


def test_impossible_ranges_are_refused():
    with pytest.raises(ValueError, match="range of dm is 0 to 1"):
        continued_draws(0, 1, {"dm": (0, 1)}, 0)


def test_simulated_noise_has_the_level_it_claims_and_continues(scene, build):
    for i in range(3):
        scene(i)
    options = {"name": "sim", "noise": "simulated", "noise_low": 1, "noise_high": 8}
    build(**options)
    scene(3)
    build(**options)
    made = version("sim")
    index, data = read_index(made.folder), ShardReader(made.uri)[:]
    noise = (data["noisy"] - data["clean"])[index["record"]]
    np.testing.assert_allclose(noise.std(axis=(1, 2)) / data["sigma"][index["record"]], 1, atol=0.4)
    np.testing.assert_allclose(
        data["sigma"][index["record"]], 0.1 * index["noise_factor"].to_numpy()[:, None] * np.ones(6), rtol=1e-5
    )
    assert index["simulated"].all()
    assert index["noise_factor"].is_unique
    every = continued_draws(0, 36, {"factor": (1, 8)}, 0)["factor"]
    assert np.isin(index["noise_factor"], every).all()
    assert np.isin(index.loc[index["version"] == 2, "noise_factor"], every[27:]).all()

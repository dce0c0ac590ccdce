"""The candidates do not depend, in any bit, on how time and space were cut."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.search import calibration as lattice
from tasks.search import search, trials
from tasks.search.calibration import calibrate, calibration, patterns, residual_images, stretches, survey
from tasks.search.candidates import candidates
from tasks.search.find import join_weights, make_plan, typical_weight
from tasks.search.hunt import Block, hunt
from tasks.search.noise import Sums, rough_beam, rough_sigma, scan_times
from tasks.search.sifting import join_events, sift
from tests.search.oracle import DT, FREQS, pulse

STRETCH = 256
SHAPE = (600, 4, 18, 16)


def sky():
    """Noise, bursts across every seam, a steady source, interference, gaps."""
    rng = np.random.default_rng(11)
    cube = rng.standard_normal(SHAPE, dtype=np.float32)
    freqs = FREQS[::2]
    for k, (time, dm, width) in enumerate([(34.3, 900, 0.3), (34.0, 0, 4.0), (70.0, 1500, 1.0), (12.0, 300, 0.2)]):
        cube += pulse(
            SHAPE,
            freqs,
            time=time,
            dm=dm,
            width=width,
            y=3 + 4 * k,
            x=3 + 3 * k,
            amplitude=11 / np.sqrt(4 * width / DT),
        )
    cube += pulse(SHAPE, freqs, time=0, dm=0, width=1e4, y=9, x=2, amplitude=30.0)
    cube[100:102] += 3 * np.cos(np.arange(16, dtype=np.float32))
    mask = np.ones(SHAPE[:2], bool)
    mask[300:310] = False
    return cube, freqs, mask


def search_in_pieces(cube, freqs, mask, rows, columns, cuts):
    """`search`, but every pass over tiles of ``rows`` x ``columns`` pixels and blocks that start at ``cuts``."""
    n_time, n_channel, n_y, n_x = cube.shape
    flat, cores = cube.reshape(n_time, n_channel, -1), stretches(n_time)
    index = np.arange(n_y * n_x).reshape(n_y, n_x)
    tiles = [index[i : i + rows, j : j + columns].ravel() for i in range(0, n_y, rows) for j in range(0, n_x, columns)]
    plan = make_plan(cube.shape, freqs, DT, 7.0, 2000.0)
    parts, levels = [], []
    for core in cores:
        sample = cube[core][scan_times(core.stop - core.start)]
        sigma = rough_sigma(sample, mask[core][scan_times(core.stop - core.start)])
        level = np.zeros((n_channel, n_y * n_x), np.float32)

        def run_survey(gain, flags, core=core, sigma=sigma, level=level):
            total = Sums.zeros(core.stop - core.start, n_channel)
            for tile in reversed(tiles):
                x = np.ascontiguousarray(flat[core][:, :, tile])
                level[:, tile], sums = survey(x, patterns(mask[core], None, len(tile)), flags, gain, sigma)
                total.add(sums)
            return total

        def images(t, channels, gain, core=core, level=level):
            return residual_images(flat[core][t][channels], level[channels], None, gain[t])

        parts.append(calibrate(calibration(sigma, core.stop - core.start, images), run_survey))
        levels.append(level)
    weights = join_weights(parts)
    plan = replace(plan, typical=typical_weight(weights.u))

    def block(pixels, i, core=None):
        core = cores[i] if core is None else core
        times = plan.read(core)
        totals = np.stack([weights.u[c].sum(0) for c in cores[i : i + 2]])
        return Block(
            core,
            min(cores[i].stop, times.stop) - times.start,
            np.ascontiguousarray(flat[times][:, :, pixels]),
            [lv[:, pixels] for lv in levels[i : i + 2]],
            totals,
            weights.gain[times],
            weights.u[times],
            patterns(mask[times], None, len(pixels)),
            pixels,
        )

    events = []
    for i, core in enumerate(cores):
        edges = sorted({core.start, core.stop, *(c for c in cuts if core.start < c < core.stop)})
        for a, b in pairwise(edges):
            events += [hunt(plan, block(tile, i, slice(a, b))) for tile in tiles]
    beam = rough_beam(cube[scan_times(n_time)], mask[scan_times(n_time)])
    chosen, groups = sift(join_events(events), plan.freqs, plan.dt, beam)
    return candidates(plan, chosen, np.array([len(g) for g in groups]), beam, block)


@pytest.mark.parametrize("tree", [False, True])
def test_candidates_are_identical_for_any_chunking(monkeypatch, tree):
    monkeypatch.setattr(lattice, "STRETCH", STRETCH)
    monkeypatch.setattr(trials, "is_cheaper", lambda *_: tree)
    cube, freqs, mask = sky()
    whole = search(cube, freqs, DT, mask=mask, dm_max=2000.0)
    assert len(whole) >= 4

    @settings(max_examples=4, deadline=None)
    @given(st.integers(3, 18), st.integers(3, 16), st.sets(st.sampled_from([128, 384]), max_size=2))
    def check(rows, columns, cuts):
        pieces = search_in_pieces(cube, freqs, mask, rows, columns, cuts)
        pd.testing.assert_frame_equal(whole, pieces, check_exact=True)

    check()

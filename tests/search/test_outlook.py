"""What a plan says, against what the kernels do."""

import time
from dataclasses import replace

import numpy as np

from tasks.search.calibration import survey
from tasks.search.find import make_plan
from tasks.search.hunt import Block, hunt
from tasks.search.outlook import PASSES, Speed, expected_seconds, measure, tile_bytes, work
from tests.search.oracle import DT, FREQS


def test_work_is_every_trial_of_every_pixel():
    plan = make_plan((4096, 8, 5, 7), FREQS, DT, 7.0, 0.0, width_max=16 * DT)
    assert work(plan).pixel_trials == 4096 * 35 * 8  # one DM, widths 1, 2, 3, 4, 6, 8, 12, 16
    assert work(plan).values_surveyed == 4096 * 8 * 35


def test_more_workers_share_and_a_longer_night_takes_longer():
    night = make_plan((160_000, 8, 50, 50), FREQS, DT, 7.0, 4000.0, width_max=60.0)
    speed = Speed(1e-9, 1e-9, 1e-9)
    one, two = expected_seconds(night, speed, 1), expected_seconds(night, speed, 2)
    half = expected_seconds(replace(night, shape=(80_000, 8, 50, 50)), speed, 1)
    assert one > two > one / 2
    assert 1.8 < one / half < 2.0  # all but what every search takes
    assert tile_bytes(night, 2048, np.dtype(np.int8)) > tile_bytes(night, 1024, np.dtype(np.int8)) > 2 * 8192 * 8 * 1024


def test_the_timed_sample_foretells_a_larger_block():
    """Within a factor of two, in CPU seconds of one process, so that a busy machine does not decide."""
    shape = (1024, 8, 16, 16)
    plan = make_plan(shape, FREQS, DT, 7.0, 4000.0)
    speed, todo = measure(plan, np.dtype(np.int8), 0.0), work(plan)
    x = np.random.default_rng(0).normal(0, 20, (1024, 8, 256)).astype(np.int8)
    valid, gain, sigma = np.ones((1024, 8), bool), np.ones(1024), np.full(8, 20.0)
    u = valid / 400.0
    plan = replace(plan, typical=u[0])
    level, _ = survey(x, [(slice(0, 256), valid)], ~valid, gain, sigma)
    block = Block(slice(0, 1024), 1024, x, [level], u.sum(0)[None], gain, u, [(slice(0, 256), valid)], np.arange(256))
    spent = []
    for _ in range(3):
        start = time.process_time()
        for _ in range(PASSES):
            survey(x, [(slice(0, 256), valid)], ~valid, gain, sigma)
        hunt(plan, block)
        spent.append(time.process_time() - start)
    foretold = PASSES * todo.values_surveyed * speed.survey + todo.additions * speed.hunt
    assert 0.5 < foretold / min(spent) < 2.0

"""What a person relies on: pulses come back at their own time, place, DM, width and S/N, whatever surrounds them."""

import numpy as np
import pandas as pd
import pytest

from tasks.search import search
from tasks.search.candidates import COLUMNS
from tasks.search.dispersion import band_delay
from tests.search.oracle import DT, FREQS, pulse


def noise(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


@pytest.mark.parametrize("direction", [1, -1])
def test_a_pulse_returns_at_its_own_place(direction):
    truth = {"time": 5.3, "dm": 1500.0, "width": 0.5, "y": 6, "x": 9}
    cube = noise((90, 8, 16, 16)) + pulse((90, 8, 16, 16), FREQS, amplitude=4.0, **truth)
    found = search(cube[:, ::direction], FREQS[::direction], DT)
    assert len(found) == 1
    row = found.iloc[0]
    assert (round(row.y), round(row.x)) == (6, 9)
    assert abs(row.time_s - 5.3) < DT
    assert abs(row.dm - 1500) < 250  # half of the width across the band
    assert row.snr > 0.93 * 4 * np.sqrt(8 * 0.5 / DT) - 1  # the noise's own standard deviation
    assert row.false_alarm_probability < 1e-9
    assert tuple(found.columns) == COLUMNS


def test_noise_gives_an_empty_table_with_all_columns():
    found = search(noise((60, 8, 24, 24)), FREQS, DT)
    assert len(found) == 0
    assert tuple(found.columns) == COLUMNS


@pytest.mark.parametrize("width", [1, 5, 10, 19.6, 39, 75, 149, 300, 600, 1198])
def test_response_is_flat_from_a_tenth_of_a_second_to_minutes(width):
    shape, seconds = (8000, 4, 2, 2), width * DT
    signal = pulse(shape, FREQS[::2], time=400.0, dm=300.0, width=seconds, y=1, x=0, amplitude=1.0)
    signal *= 50 / np.sqrt((signal**2).sum())
    row = search(noise(shape, 3) + signal, FREQS[::2], DT, dm_max=600.0).iloc[0]
    assert row.trial_snr > 0.85 * 50 - 1.0  # one standard deviation of the noise itself
    assert row.snr > 0.85 * 50
    assert abs(row.time_s - 400.0) < max(DT, 0.1 * seconds)


def test_arrival_times_have_no_width_bias():
    """Mean error over sub-sample phases, per width: a fraction of a sample, and never more than one for any pulse."""
    for width in (0.5, 1, 2, 4, 8, 16):
        errors = []
        for i in range(6):
            time = 8.0 + (i + 0.37) * 0.41 * DT
            amplitude = 25 / np.sqrt(8 * max(width, 1)) / min(width, 1)
            signal = pulse((128, 8, 2, 2), FREQS, time=time, dm=700.0, width=width * DT, y=0, x=1, amplitude=amplitude)
            row = search(noise((128, 8, 2, 2), i) + signal, FREQS, DT, dm_max=1500.0, threshold=10).iloc[0]
            errors.append((row.time_s - time) / DT)
        assert np.abs(errors).max() < 1.0
        assert abs(np.mean(errors)) < 0.25


def test_gaps_flags_and_nan_planes_are_not_data():
    signal = pulse((90, 8, 12, 12), FREQS, time=6.0, dm=800.0, width=0.6, y=5, x=5, amplitude=5.0)
    cube = noise((90, 8, 12, 12), 4) + signal
    clean = search(cube, FREQS, DT).iloc[0]
    mask = np.ones((90, 8), bool)
    mask[44] = False
    mask[:, 2] = False
    for dirty, given in (
        (np.where(mask[:, :, None, None], cube, np.nan), None),
        (np.where(mask[:, :, None, None], cube, 1e6), mask),
        (cube, np.broadcast_to(mask[:, :, None, None], cube.shape)),
    ):
        found = search(dirty.astype(np.float32), FREQS, DT, mask=given)
        assert len(found) == 1
        assert 0.7 < found.snr[0] / clean.snr < 1.0
        assert abs(found.time_s[0] - 6.0) < DT


def test_blank_and_dead_pixels_say_nothing():
    cube = noise((60, 8, 12, 12), 5)
    cube[:, :, :4] = np.nan
    cube[:, :, 8] = 7.0
    cube[20:30, 3, 6, 6] = np.inf
    assert len(search(cube, FREQS, DT)) == 0


def test_steady_sources_and_a_drifting_gain_are_followed():
    shape = (96, 8, 20, 20)
    steady = pulse(shape, FREQS, time=0.0, dm=0.0, width=1e4, y=10, x=10, amplitude=80.0, fwhm=3.0)
    signal = pulse(shape, FREQS, time=7.0, dm=500.0, width=0.4, y=10, x=11, amplitude=6.0)
    drift = (1 + 0.3 * np.arange(96) / 96).astype(np.float32)[:, None, None, None]
    found = search((noise(shape, 6) + steady + signal) * drift, FREQS, DT)
    assert len(found) == 1
    assert abs(found.time_s[0] - 7.0) < DT


def test_patterns_of_interference_are_excised():
    shape = (90, 8, 24, 24)
    rows, columns = np.mgrid[:24, :24]
    ripple = np.cos(0.9 * columns + 0.3 * rows).astype(np.float32)
    cube = noise(shape, 7) + pulse(shape, FREQS, time=9.0, dm=600.0, width=0.4, y=12, x=12, amplitude=5.0)
    cube[20:23] += 3 * ripple
    cube[40:50, 3] += 20 * ripple
    found = search(cube, FREQS, DT, threshold=6.0)
    assert len(found) == 1
    assert abs(found.time_s[0] - 9.0) < DT


def test_a_bright_burst_is_not_taken_for_interference():
    shape = (90, 8, 24, 24)
    cube = noise(shape, 8) + pulse(shape, FREQS, time=6.0, dm=0.0, width=0.3, y=12, x=12, amplitude=60.0, fwhm=3.0)
    found = search(cube, FREQS, DT)
    assert len(found) == 1
    assert found.snr[0] > 200


def test_two_bursts_of_one_pixel_are_two_rows():
    shape = (120, 8, 8, 8)
    first = pulse(shape, FREQS, time=4.0, dm=300.0, width=0.3, y=3, x=3, amplitude=8.0)
    second = pulse(shape, FREQS, time=11.0, dm=300.0, width=0.3, y=3, x=3, amplitude=6.0)
    found = search(noise(shape, 9) + first + second, FREQS, DT)
    assert len(found) == 2
    assert np.allclose(sorted(found.time_s), [4.0, 11.0], atol=DT)


def test_matched_filter_doubles_the_snr_in_white_noise():
    shape = (75, 8, 24, 24)
    signal = pulse(shape, FREQS, time=5.0, dm=400.0, width=0.4, y=11.4, x=12.3, amplitude=2.0, fwhm=3.0)
    found = search(noise(shape, 10) + signal, FREQS, DT, psf_fwhm=3.0)
    beam_area = np.pi * 3.0**2 / (8 * np.log(2))  # sum of the squared beam
    assert found.snr[0] > 0.9 * 2.0 * np.sqrt(beam_area * 8 * 0.4 / DT) - 1
    assert np.hypot(found.y[0] - 11.4, found.x[0] - 12.3) < 0.5


def test_one_channel_is_searched_without_dispersion():
    shape = (90, 1, 8, 8)
    found = search(
        noise(shape) + pulse(shape, FREQS[:1], time=6.0, dm=0.0, width=0.5, y=2, x=2, amplitude=9.0), FREQS[:1], DT
    )
    assert len(found) == 1
    assert found.dm[0] == 0.0


@pytest.mark.parametrize("kind", ["int8", "int16", ">i2", "float16", ">f4", "float64"])
def test_every_type_that_files_hold_is_searched_alike(kind):
    signal = pulse((75, 8, 8, 8), FREQS, time=5.0, dm=400.0, width=0.4, y=3, x=4, amplitude=6.0)
    counts = np.clip(np.rint(16 * (noise((75, 8, 8, 8)) + signal)), -127, 127)  # exact in every type
    pd.testing.assert_frame_equal(search(counts.astype(kind), FREQS, DT), search(counts.astype("f4"), FREQS, DT))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"cube": np.zeros((4, 8, 4), np.float32)}, "3 axes"),
        ({"freqs": FREQS[:5]}, "8 channels"),
        ({"freqs": FREQS[[0, 2, 1, 3, 4, 5, 6, 7]]}, "neither rise nor fall"),
        ({"freqs": -FREQS}, "must be positive"),
        ({"dt": 0.0}, "dt must be positive"),
        ({"mask": np.ones((3, 8), bool)}, "mask has shape"),
        ({"psf_fwhm": -1.0}, "psf_fwhm must be positive"),
        ({"dm_max": -5.0}, "dm_max must not be negative"),
        ({"widths": (0, 4)}, "widths reach from 0"),
    ],
)
def test_bad_input_gets_a_sentence(change, says):
    good = {"cube": noise((20, 8, 4, 4)), "freqs": FREQS, "dt": DT}
    with pytest.raises(ValueError, match=says):
        search(**(good | change))


def test_a_cube_shorter_than_the_largest_delay_is_searched_as_far_as_it_goes():
    shape = (24, 8, 8, 8)
    signal = pulse(shape, FREQS, time=1.5, dm=200.0, width=0.3, y=2, x=2, amplitude=9.0)
    found = search(noise(shape) + signal, FREQS, DT, dm_max=20000.0)
    assert len(found) == 1
    fits = found.attrs["complete_up_to_dm"]
    assert band_delay(FREQS) * fits < 24 * DT < band_delay(FREQS) * (fits + 200)  # the largest trial whose delay fits

"""Injections return to the truth they were drawn from."""

import numpy as np

from tasks.search import search
from tasks.search.injection import Ranges, add_pulses, completeness, draw, matches, profile
from tests.search.oracle import DT, FREQS

SHAPE = (256, 8, 40, 40)


def pulses(n=12, **changes):
    ranges = Ranges(**({"snr": (9.0, 20.0), "dm_max": 2000.0, "width_s": (0.2, 2.0)} | changes))
    return draw(n, 4, SHAPE, FREQS, DT, np.ones(8), 1.1, ranges)


def test_draws_are_repeatable_off_grid_and_apart():
    first, second = pulses(), pulses()
    assert first == second
    assert len(first) >= 8
    for p in first:
        assert abs(np.sqrt((profile(p, SHAPE[0], FREQS, DT) ** 2).sum()) / p.ideal_snr - 1) < 1e-9
        assert p.width + p.scattering < p.time < SHAPE[0] * DT


def test_a_later_draw_goes_on_where_an_earlier_one_ended():
    ranges = Ranges(dm_max=0.0, width_s=(0.2, 0.3))
    whole, first, second = (
        draw(n, 4, SHAPE, FREQS, DT, np.ones(8), 0.0, ranges, begin) for n, begin in [(8, 0), (5, 0), (3, 5)]
    )
    assert [p.index for p in whole] == list(range(8))
    assert first + second == whole


def test_a_profile_keeps_its_fluence_through_scattering():
    p = pulses(spectral_index=(0.0, 0.0), scattering_s=(0.3, 0.31))[0]
    assert np.allclose(profile(p, 600, FREQS, DT).sum(0) * DT, p.fluence, rtol=2e-3)  # a tail leaves the array


def test_pulses_added_in_pieces_are_the_same():
    cube = np.zeros(SHAPE, np.float32)
    whole = add_pulses(cube, pulses(), FREQS, DT, 3.0, (0, 0, 0))
    piece = add_pulses(cube[100:160, :, 10:30, 5:20], pulses(), FREQS, DT, 3.0, (100, 10, 5))
    np.testing.assert_allclose(piece, whole[100:160, :, 10:30, 5:20], atol=1e-5)


def test_bright_injections_are_found():
    noise = np.random.default_rng(1).standard_normal(SHAPE, dtype=np.float32)
    truth = pulses(spectral_index=(-0.5, 0.5), scattering_s=(0.001, 0.01))
    on_pixels = [type(p)(**(p.__dict__ | {"y": float(round(p.y)), "x": float(round(p.x))})) for p in truth]
    found = search(add_pulses(noise, on_pixels, FREQS, DT, 0.8, (0, 0, 0)), FREQS, DT, dm_max=2000.0, threshold=6.0)
    chosen = matches(on_pixels, found, FREQS, DT)
    seen = [(found["snr"][k], p.ideal_snr) for k, p in zip(chosen, on_pixels, strict=True) if k is not None]
    assert len(seen) >= len(truth) - 1
    assert np.median([snr / ideal for snr, ideal in seen]) > 0.85


def test_completeness_has_honest_intervals():
    curve = completeness(np.array([1.0, 1.2, 2.5, 2.6]), np.array([0, 0, 1, 1]), np.array([1.0, 2.0, 3.0, 4.0]))
    assert curve["fraction"][:2].tolist() == [0.0, 1.0]
    assert np.isnan(curve["fraction"][2])
    assert (curve["low"] <= np.nan_to_num(curve["fraction"], nan=1)).all()
    assert curve["high"][0] > 0.3

"""Which events are one pulse: those whose tracks cross near each other, and sidelobes."""

import numpy as np
import pytest

from tasks.search.dispersion import KDM
from tasks.search.sifting import Events, sift
from tests.search.oracle import DT, FREQS

MIDDLE = FREQS.mean()


def events(*rows):
    """Rows (snr, time, y, x, dm, width)."""
    return Events(*np.array(rows, float).T)


def kept(found, beam=3.0):
    chosen, groups = sift(found, FREQS, DT, beam)
    assert sorted(np.concatenate(groups)) == list(range(len(found.snr)))  # each event speaks or is spoken for, once
    return chosen, groups


def test_the_strongest_speaks_for_the_trials_around_it():
    chosen, groups = kept(events((9, 10.0, 5, 5, 300, 0.4), (20, 10.1, 5, 5, 350, 0.5), (8, 10.0, 6, 5, 300, 0.8)))
    assert list(chosen.snr) == [20]
    assert len(groups[0]) == 3


def test_a_wrong_dm_that_crosses_the_track_belongs_to_it():
    """The band's ends move apart by far more than the width, but the tracks meet in the middle of the band."""
    chosen, _ = kept(events((30, 10.0, 5, 5, 1500, 0.3), (9, 10.0, 5, 5, 3000, 0.3)))
    assert len(chosen.snr) == 1
    at_top = KDM * 1500 * (MIDDLE**-2.0 - FREQS.max() ** -2.0)
    chosen, _ = kept(events((30, 10.0, 5, 5, 1500, 0.3), (9, 10.0 + 3 * at_top, 5, 5, 1500, 0.3)))
    assert len(chosen.snr) == 2  # the same DM, later by more than both widths


@pytest.mark.parametrize(("snr", "n"), [(4.0, 1), (15.0, 2)])
def test_a_sidelobe_is_faint_and_at_the_same_time(snr, n):
    chosen, _ = kept(events((50, 10.0, 5, 5, 300, 0.4), (snr, 10.0, 40, 60, 300, 0.4)))
    assert len(chosen.snr) == n


def test_two_places_and_two_times_are_two_pulses():
    chosen, _ = kept(events((20, 10.0, 5, 5, 300, 0.4), (18, 10.0, 25, 5, 300, 0.4), (16, 14.0, 5, 5, 300, 0.4)))
    assert list(chosen.snr) == [20, 18, 16]


def test_the_order_of_the_events_does_not_matter():
    rng = np.random.default_rng(0)
    rows = np.stack(
        [rng.uniform(7, 30, 60), *rng.uniform(0, 20, (3, 60)), rng.uniform(0, 900, 60), np.full(60, 0.4)], 1
    )
    first, _ = kept(events(*rows))
    second, _ = kept(events(*rows[rng.permutation(60)]))
    for a, b in zip(first.columns, second.columns, strict=True):
        np.testing.assert_array_equal(a, b)


def test_nothing_gives_nothing():
    chosen, groups = sift(Events(*np.zeros((6, 0))), FREQS, DT, 3.0)
    assert len(chosen.snr) == 0
    assert groups == []

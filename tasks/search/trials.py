"""The trial grid: which dispersion measures and widths are searched, at which time resolution.

Widths up to 16 samples are searched at full rate. Wider ones are searched on a pyramid: level *l* sums 2^l samples, so
that its own 9 to 16 (summed) samples cover the next octave of widths, and its DM steps are 2^l times coarser. One
pass covers 0.1 s to minutes without a hole, and every octave above the first costs half of the one before.
"""

from dataclasses import dataclass

import numpy as np

from tasks.search._formulas import CELL
from tasks.search.dispersion import band_delay, dispersion_delays
from tasks.search.tree import Tree, grow, is_cheaper

FINE = (1, 2, 3, 4, 6, 8, 12, 16)
"""Widths of the finest level [samples]: neighbours are at most a factor 1.5 apart, which loses at most 10 % of S/N."""

DM_STEP = 0.5
"""Change of the band delay between neighbouring DM trials [samples of the level]."""

TREE_CELLS = 32
"""Cells of start times in one pass through a tree: more would share more, fewer would stay closer to the cache."""

LARGEST_TABLE = 8 << 30
"""Most bytes that the norms of all trials of one stretch may take; a worker holds them at once."""


@dataclass(frozen=True)
class Level:
    """The trials of one time resolution.

    Attributes
    ----------
    factor : int
        Input samples summed into one sample of this level.
    dms : (dm,) float64 array
    delays : (dm, channel) int32 array
        Delay behind the highest frequency, in *half* samples of this level.
    widths : tuple of int
        Boxcar widths in samples of this level.
    steps : (buffer, 4) int32 array
        How each boxcar sum is made: rows (first, second, shift, trial) mean ``box[t] = box_first[t] +
        box_second[t + shift]``; ``trial`` is the index into ``widths``, or -1 for a sum that is only a step on the way.
    units : (channel,) float64 array or None
        Delays per unit DM [half samples], where the channels are summed in a tree; None where each trial sums them all.
    """

    factor: int
    dms: np.ndarray
    delays: np.ndarray
    widths: tuple[int, ...]
    steps: np.ndarray
    units: np.ndarray | None = None

    @property
    def tree(self) -> Tree | None:
        """The tree whose paths the delays are."""
        return None if self.units is None else grow(self.units.tobytes(), self.dms.tobytes(), _per_pass(self.widths))

    @property
    def reach(self) -> int:
        """Samples of this level that the longest trial needs after its start."""
        return int(self.delays.max() + 1) // 2 + max(self.widths)


def default_widths(longest: float) -> tuple[int, ...]:
    """1, 2, 3, 4, 6, 8, 12, 16, 24, 32, ... samples, none above ``longest`` (but at least 1)."""
    widths, octave = list(FINE), 16
    while octave < longest:
        widths += [octave * 3 // 2, octave * 2]
        octave *= 2
    return tuple(w for w in widths if w <= max(1, longest))


def default_dms(freqs: np.ndarray, dt: float, dm_max: float) -> np.ndarray:
    """DMs from 0 to ``dm_max`` whose delays across the band are `DM_STEP` samples of ``dt`` seconds apart."""
    n_steps = int(np.ceil(dm_max * band_delay(freqs) / (DM_STEP * dt) - 1e-9))
    return np.linspace(0.0, dm_max, n_steps + 1) if n_steps > 0 else np.zeros(1)


def plan_levels(
    freqs: np.ndarray, dt: float, dm_max: float, widths: tuple[int, ...], dms: np.ndarray | None = None
) -> list[Level]:
    """Sort ``widths`` [samples] into levels; each level gets its own DM grid unless ``dms`` are given."""
    by_level: dict[int, list[int]] = {}
    for width in sorted(set(widths)):
        by_level.setdefault(_factor(width), []).append(width)
    return [_level(freqs, dt, dm_max, factor, tuple(w // factor for w in ws), dms) for factor, ws in by_level.items()]


def check_memory(levels: list[Level], n_time: int) -> None:
    """Raise a ValueError where the norms of all trials that start within ``n_time`` samples do not fit a worker."""
    size = sum(4 * len(lv.dms) * len(lv.widths) * (n_time // lv.factor + lv.reach) for lv in levels)
    if size > LARGEST_TABLE:
        raise ValueError(
            f"{len(levels[0].dms)} DM trials up to {levels[0].dms.max():g} pc cm^-3 need {size / 2**30:.1f} GiB, "
            f"expected at most {LARGEST_TABLE >> 30}; lower dm_max or sum samples to a longer dt"
        )


def _factor(width: int) -> int:
    factor = 1
    while width > FINE[-1] * factor and width % (2 * factor) == 0:
        factor *= 2
    return factor


def _level(
    freqs: np.ndarray, dt: float, dm_max: float, factor: int, widths: tuple[int, ...], dms: np.ndarray | None
) -> Level:
    grid = default_dms(freqs, dt * factor, dm_max) if dms is None else np.asarray(dms, np.float64)
    units = 2 * dispersion_delays(freqs, 1.0, reference=float(np.max(freqs)))[0] / (dt * factor)
    steps = _addition_chain(widths)
    if is_cheaper(units, grid, _per_pass(widths)):
        tree = grow(units.tobytes(), grid.tobytes(), _per_pass(widths))
        return Level(factor, grid, tree.delays, widths, steps, units)
    seconds = dispersion_delays(freqs, grid, reference=float(np.max(freqs)))
    return Level(factor, grid, np.rint(2 * seconds / (dt * factor)).astype(np.int32), widths, steps)


def _per_pass(widths: tuple[int, ...]) -> int:
    """Sums per trial of one pass through a tree: whole cells of start times, and what the widest boxcar needs after them."""
    return TREE_CELLS * CELL + max(widths) - 1


def _addition_chain(widths: tuple[int, ...]) -> np.ndarray:
    """Fewest-pass recipe for all ``widths``: an even width is twice its half, an odd one its neighbour plus one."""
    needed, queue = {1}, list(widths)
    while queue:
        width = queue.pop()
        if width not in needed:
            needed.add(width)
            queue.append(width // 2 if width % 2 == 0 else width - 1)
    order = sorted(needed)
    rows = []
    for width in order:
        first = width // 2 if width % 2 == 0 else width - 1
        second = width - first
        trial = widths.index(width) if width in widths else -1
        rows.append((order.index(first), order.index(second), first, trial) if width > 1 else (0, 0, 0, trial))
    return np.array(rows, np.int32)

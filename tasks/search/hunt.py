"""Hunt for events in one block: the start times of a stretch, any set of pixels, every width and DM."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tasks.array.namespace import namespace, native, to_host
from tasks.search import _cpu
from tasks.search._formulas import CELL
from tasks.search.calibration import Patterns
from tasks.search.dispersion import KDM
from tasks.search.sifting import Events
from tasks.search.trials import Level

COVERAGE = 0.3
"""A trial that has less than this share of its data (edge, gap, flags) is not tried: it could be anything."""

SLAB_BYTES = 64 << 20


@dataclass(frozen=True)
class SearchPlan:
    """What is the same for all blocks of an observation.

    Attributes
    ----------
    freqs : (channel,) float64 array
        Channel centres [MHz].
    dt : float
        Sampling time [s].
    shape : tuple of int
        (time, channel, y, x) of the whole observation.
    levels : list of `Level`
    threshold : float
        Smallest S/N of an event.
    typical : (channel,) float64 array
        Weight of an average sample, against which a trial's coverage is measured.
    """

    freqs: np.ndarray
    dt: float
    shape: tuple[int, int, int, int]
    levels: list[Level]
    threshold: float
    typical: np.ndarray

    def read(self, core: slice) -> slice:
        """The samples that trials starting within ``core`` need."""
        return slice(core.start, min(self.shape[0], core.stop + max(lv.reach * lv.factor for lv in self.levels)))


@dataclass(frozen=True)
class Block:
    """Samples of `SearchPlan.read(core)`: ``x`` (time, channel, pixel) and everything that conditions it.

    ``core`` lies in one stretch and begins on a multiple of `CELL` samples of the coarsest level; sample ``seam`` of
    ``x`` is the first of the next stretch. ``level`` holds the baseline (channel, pixel) of the stretches the block
    touches, ``totals`` (stretch, channel) the sums of their weights; ``gain`` (time,) and ``u`` (time, channel) belong
    to the samples; ``pixels`` are the indices of the block's pixels in the whole image.
    """

    core: slice
    seam: int
    x: Any
    level: list[Any]
    totals: np.ndarray
    gain: np.ndarray
    u: np.ndarray
    groups: Patterns
    pixels: np.ndarray


def hunt(plan: SearchPlan, block: Block) -> Events:
    """All events of ``block`` at or above the threshold: the best trial per pixel and cell of start times."""
    found = [_empty()]
    for group, valid in block.groups:
        u = block.u * valid
        norms = [_normalise(plan, level, block, u) for level in plan.levels]
        indices = np.arange(len(block.pixels))[group]
        step = max(64, SLAB_BYTES // (4 * u.size) // 64 * 64)
        for start in range(0, len(indices), step):
            part = indices[start : start + step]
            part = slice(part[0], part[-1] + 1) if isinstance(group, slice) else part
            y = condition_block(block, u, part)
            found += _hunt_slab(plan, block, y, block.pixels[part], norms)
    return Events(*(np.concatenate(column) for column in zip(*(e.columns for e in found), strict=True)))


def condition_block(block: Block, u: np.ndarray, part: Any) -> Any:
    """Weighted residuals (time, channel, pixel) of the pixels ``part``: a slice of them, or indices."""
    kernels, seam = native(block.x, __package__), block.seam
    x, level, (start, stop) = block.x, block.level, (0, 0)
    if isinstance(part, slice):
        start, stop, _ = part.indices(x.shape[2])
    else:
        x, level, stop = x[:, :, part], [each[:, part] for each in level], len(part)
    y = kernels.condition(x[:seam], level[0], block.gain[:seam], u[:seam], start, stop)
    if seam == x.shape[0]:
        return y
    rest = kernels.condition(x[seam:], level[1], block.gain[seam:], u[seam:], start, stop)
    return namespace(y).concatenate([y, rest])


def _normalise(plan: SearchPlan, level: Level, block: Block, u: np.ndarray) -> tuple[int, np.ndarray]:
    """First start of the level, in its samples from the core's beginning, and 1/sigma of every trial from there on."""
    before = block.u[: block.seam].sum(0)
    share = np.divide(u[: block.seam].sum(0), before, out=np.ones(len(before)), where=before > 0)  # of this mask
    totals = np.where(np.arange(len(u))[:, None] < block.seam, block.totals[0] * share, block.totals[-1])
    summed = u
    for _ in range(int(np.log2(level.factor))):
        summed, totals = _cpu.halve(summed[:, :, None])[:, :, 0], totals[::2]
    first = -(-level.reach // CELL) * -CELL if block.core.start == 0 else 0
    last = -(-(block.core.stop - block.core.start) // level.factor)
    n_start = -(-(last - first) // CELL) * CELL
    norm = np.zeros((len(level.dms), len(level.widths), n_start), np.float32)
    _cpu.normalise(
        np.ascontiguousarray(summed),
        np.ascontiguousarray(totals),
        plan.typical * level.factor,
        level.delays,
        level.steps,
        first,
        COVERAGE,
        norm,
        level.tree,
    )
    return first, norm


def _hunt_slab(
    plan: SearchPlan, block: Block, y: Any, pixels: np.ndarray, norms: list[tuple[int, np.ndarray]]
) -> list[Events]:
    kernels, factor, found = native(y, __package__), 1, []
    for level, (first, norm) in zip(plan.levels, norms, strict=True):
        while factor < level.factor:
            y, factor = kernels.halve(y), factor * 2
        if level.tree is None:
            best, code = kernels.detect(y, level.delays, level.steps, norm, first)
        else:
            best, code = kernels.detect_tree(y, level.tree, level.steps, norm, first)
        best, code = to_host(best), to_host(code)
        cell, pixel = np.nonzero(best >= plan.threshold)
        start = block.core.start // factor + first + cell * CELL
        found.append(_decode(plan, level, best[cell, pixel], code[cell, pixel], start, pixels[pixel]))
    return found


def _decode(
    plan: SearchPlan, level: Level, snr: np.ndarray, code: np.ndarray, start: np.ndarray, pixel: np.ndarray
) -> Events:
    width = np.array(level.widths)[code // CELL % len(level.widths)]
    dm = level.dms[code // CELL // len(level.widths)]
    at_top = (start + code % CELL + width / 2) * level.factor * plan.dt
    top, middle = np.max(plan.freqs), np.mean(plan.freqs)
    time = at_top + KDM * dm * (middle**-2.0 - top**-2.0)
    y, x = np.divmod(pixel, plan.shape[3])
    return Events(snr.astype(float), time, y.astype(float), x.astype(float), dm, width * level.factor * plan.dt)


def _empty() -> Events:
    return Events(*np.zeros((6, 0)))

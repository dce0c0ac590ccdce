"""Cutouts of a candidate: its image, its dedispersed dynamic spectrum, its S/N over DM and time."""

from dataclasses import dataclass

import numpy as np

from tasks.search.dispersion import dispersion_delays
from tasks.search.refine import Patch, Pulse

EDGE, BINS, DM_TRIALS = 64, 96, 33


@dataclass(frozen=True)
class Cutout:
    """S/N arrays ``image`` (y, x), ``spectrum`` (channel, bin), ``dm_time`` (dm, bin), with their axes.

    ``times`` are the bins' centres from the pulse [s], ``dms`` the trials [pc cm^-3], ``corner`` the (y, x) pixel of
    ``image[0, 0]``. NaN where there is no image or no data.
    """

    image: np.ndarray
    spectrum: np.ndarray
    dm_time: np.ndarray
    times: np.ndarray
    dms: np.ndarray
    corner: tuple[int, int]


def cut_out(pulse: Pulse, patch: Patch, freqs: np.ndarray, dt: float) -> Cutout:
    """Cutouts from the weighted residuals of `EDGE` x `EDGE` pixels around ``pulse`` (`find.cut_patch`)."""
    first, y0, x0 = patch.origin
    row, column = round(pulse.y) - y0, round(pulse.x) - x0
    size = max(1, round(pulse.width / 6))
    series = patch.y[:, :, row, column]
    unit = dispersion_delays(freqs, 1.0, reference=float(np.mean(freqs)))[0] / dt
    spread = float(np.ptp(unit))
    reach = (8 + 4 * pulse.width) / spread if spread > 0 else 0.0
    dms = np.linspace(max(0.0, pulse.dm - reach), pulse.dm + reach, DM_TRIALS)
    centre = pulse.time - first
    starts = centre + (np.arange(BINS) - BINS / 2) * size
    planes = [_aligned(series, patch.u, starts, size, dm * unit) for dm in (*dms, pulse.dm)]
    summed = np.stack([_ratio(signal.sum(0), weight.sum(0)) for signal, weight in planes[:-1]])
    image, corner = _framed(_matched(patch, centre, pulse, unit), pulse, y0, x0)
    times = (np.arange(BINS) - BINS / 2 + 0.5) * size * dt
    return Cutout(image, _ratio(*planes[-1]), summed, times, dms, corner)


def _aligned(
    series: np.ndarray, u: np.ndarray, starts: np.ndarray, size: int, delays: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Sums of samples and weights (channel, bin) in bins of ``size`` samples that follow ``delays``."""
    index = np.rint(starts[None, :, None] + delays[:, None, None] + np.arange(size)).astype(int)
    inside = (index >= 0) & (index < len(series))
    index = np.where(inside, index, 0)
    channel = np.arange(series.shape[1])[:, None, None]
    return (series[index, channel] * inside).sum(2), (u[index, channel] * inside).sum(2)


def _matched(patch: Patch, centre: float, pulse: Pulse, unit: np.ndarray) -> np.ndarray:
    """S/N of the pulse's own samples in every pixel."""
    start = np.rint(centre - pulse.width / 2 + pulse.dm * unit)
    offset = np.arange(len(patch.y))[:, None] - start
    chosen = (offset >= 0) & (offset < max(1, round(pulse.width)))
    return _ratio(np.einsum("tcyx,tc->yx", patch.y, chosen), (patch.u * chosen).sum())


def _framed(image: np.ndarray, pulse: Pulse, y0: int, x0: int) -> tuple[np.ndarray, tuple[int, int]]:
    """The image in a frame of `EDGE` x `EDGE` pixels around the pulse."""
    frame = np.full((EDGE, EDGE), np.nan, np.float32)
    corner = round(pulse.y) - EDGE // 2, round(pulse.x) - EDGE // 2
    inside = image[max(0, corner[0] - y0) :, max(0, corner[1] - x0) :]
    top, left = max(0, y0 - corner[0]), max(0, x0 - corner[1])
    inside = inside[: EDGE - top, : EDGE - left]
    frame[top : top + inside.shape[0], left : left + inside.shape[1]] = inside
    return frame, corner


def _ratio(signal: np.ndarray, weight: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(weight > 0, signal / np.sqrt(weight), np.nan).astype(np.float32)

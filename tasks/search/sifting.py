"""From events to candidates: one row per pulse, the strongest trial speaking for all that its own signal explains.

Density clustering (HDBSCAN, DBSCAN) was weighed and left: it needs one metric for pixels, seconds and DM, and it chains
through sidelobes. Whether one pulse explains another event is known physics: their tracks in time and frequency
cross, and they are within a beam of each other or the weaker is no more than a sidelobe.
"""

from dataclasses import dataclass

import numpy as np

from tasks.search.dispersion import KDM, band_delay

SIDELOBE, ALIKE = 0.1, 0.25
"""Events anywhere in the image are sidelobes of a stronger one below this fraction of it: of one that crosses them, or
(the larger fraction) of one with the same time and DM within its width, as a sidelobe has. Another pulse at the same
time as a very bright one is kept that way."""

BEAMS, PIXELS = 1.7, 3.0
"""Events within this many beam widths (FWHM), or pixels, of a stronger, crossing one belong to it."""


@dataclass(frozen=True)
class Events:
    """Columns of equal length: S/N, centre at the mean frequency [s], pixel y and x, DM [pc cm^-3], width [s]."""

    snr: np.ndarray
    time: np.ndarray
    y: np.ndarray
    x: np.ndarray
    dm: np.ndarray
    width: np.ndarray

    @property
    def columns(self) -> tuple[np.ndarray, ...]:
        """The columns in the order of the fields."""
        return tuple(getattr(self, name) for name in self.__dataclass_fields__)

    def take(self, index: np.ndarray) -> "Events":
        """The events at ``index``, in its order."""
        return Events(*(column[index] for column in self.columns))

    def order(self) -> np.ndarray:
        """Indices, strongest first; ties in a fixed order, whatever order the events came in."""
        return np.lexsort((self.width, self.dm, self.x, self.y, self.time, -self.snr))


def join_events(parts: list[Events]) -> Events:
    """The events of all blocks in one."""
    return Events(*(np.concatenate(column) for column in zip(*(p.columns for p in parts), strict=True)))


def sift(events: Events, freqs: np.ndarray, dt: float, beam: float) -> tuple[Events, list[np.ndarray]]:
    """Keep the events that no stronger one explains, strongest first; also the indices of those each stands for.

    ``beam`` is the FWHM over which neighbouring pixels see the same source [pixels].
    """
    order = events.order()
    ranked, waiting = events.take(order), np.arange(len(order))
    kept, groups = [], []
    while len(waiting):
        rest = ranked.take(waiting)
        faint = (rest.snr <= SIDELOBE * rest.snr[0]) | (_alike(rest, freqs, dt) & (rest.snr <= ALIKE * rest.snr[0]))
        explained = _cross(rest, freqs, dt) & (_near(rest, beam) | faint)
        explained[0] = True
        kept.append(waiting[0])
        groups.append(order[waiting[explained]])
        waiting = waiting[~explained]
    return ranked.take(np.array(kept, int)), groups


def _near(events: Events, beam: float) -> np.ndarray:
    return np.hypot(events.y - events.y[0], events.x - events.x[0]) <= max(PIXELS, BEAMS * beam)


def _alike(events: Events, freqs: np.ndarray, dt: float) -> np.ndarray:
    """Whether each event has the time and the DM of the first, within its width and a sample."""
    length = events.width[0] + dt
    drift = band_delay(freqs) * np.abs(events.dm - events.dm[0])
    return (np.abs(events.time - events.time[0]) <= length) & (drift <= 2 * length)


def _cross(events: Events, freqs: np.ndarray, dt: float) -> np.ndarray:
    """Whether the track of the first event and of each other come within their widths anywhere in the band."""
    offset = events.time - events.time[0]
    slope = KDM * (events.dm - events.dm[0])
    middle = np.mean(freqs) ** -2.0
    low, high = offset + slope * (np.max(freqs) ** -2.0 - middle), offset + slope * (np.min(freqs) ** -2.0 - middle)
    closest = np.where(low * high <= 0, 0.0, np.minimum(np.abs(low), np.abs(high)))
    return closest <= (events.width + events.width[0]) / 2 + dt

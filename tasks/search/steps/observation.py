"""A stored cube as the search sees it: values, masks, frequencies, sampling time."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from storage.errors import BadInputError
from storage.product import Product
from tasks.array.namespace import to_device, to_host
from tasks.search.spatial import Beam, make_beam, matched_filter
from tasks.search.values import readable


@dataclass(frozen=True)
class Observation:
    """A stored cube as the search sees it. Stored integers are searched as they are: S/N needs no unit."""

    cube: Product
    freqs: np.ndarray
    dt: float
    psf_fwhm: float | None = None

    @cached_property
    def shape(self) -> tuple[int, int, int, int]:
        """(time, channel, y, x)."""
        return self.cube.shape  # type: ignore[return-value]

    @cached_property
    def beam(self) -> Beam | None:
        """The matched filter, for images with white pixel noise."""
        return None if self.psf_fwhm is None else make_beam(self.freqs, self.psf_fwhm, self.shape[2:])

    def read(self, times: slice, rows: slice, columns: slice) -> tuple[np.ndarray, np.ndarray]:
        """Values and validity (time, channel, pixel) of a part of the cube, filtered where a filter is wanted."""
        reach = 0 if self.beam is None else self.beam.reach
        around = _grown(rows, reach, self.shape[2]), _grown(columns, reach, self.shape[3])
        region = (times, slice(0, self.shape[1]), *around)
        values = readable(self.cube.read(region))
        valid = self.cube["valid"].read(region) if "valid" in self.cube else np.ones(values.shape, bool)
        if values.dtype.kind == "f":
            valid &= np.isfinite(values)
        if self.beam is not None:
            usable = np.where(valid, values, 0).astype(np.float32)
            values = to_host(matched_filter(to_device(usable), np.asarray(valid.any((2, 3))), self.beam, *around))
        inner = (slice(None), slice(None), _within(rows, around[0]), _within(columns, around[1]))
        flat = (times.stop - times.start, self.shape[1], -1)
        return values[inner].reshape(flat), valid[inner].reshape(flat)


def _grown(part: slice, reach: int, size: int) -> slice:
    return slice(max(0, part.start - reach), min(size, part.stop + reach))


def _within(part: slice, around: slice) -> slice:
    return slice(part.start - around.start, part.stop - around.start)


def observe(cube: Product, params: Any) -> Observation:
    """The stored cube with its frequencies and sampling time, from its coordinates or else from the parameters."""
    if len(cube.shape) != 4:
        raise BadInputError(f"{cube.uri} has {len(cube.shape)} axes, expected (time, channel, y, x); give a radio cube")
    known = "channel" in cube and cube["channel"].attrs.get("units") == "MHz"
    freqs = frequencies(cube.uri, cube.shape[1], cube["channel"].read() if known else None, params)
    times = cube["time"].read() if "time" in cube else None
    return Observation(cube, freqs, sampling(cube.uri, times, params), params.psf_fwhm)


def frequencies(name: str, n: int, known: np.ndarray | None, params: Any) -> np.ndarray:
    """Channel centres [MHz] of the cube called ``name``: the parameters', or else those that it knows itself."""
    if params.freq_first and params.freq_last:
        freqs = np.linspace(params.freq_first, params.freq_last, n)
    elif known is not None:
        freqs = known.astype(np.float64)
    elif n == 1:
        freqs = np.array([1400.0])
    else:
        raise BadInputError(f"{name} has no frequencies; give freq_first and freq_last in MHz")
    steps = np.diff(freqs)
    if len(steps) and not ((steps > 0).all() or (steps < 0).all()):
        raise BadInputError(f"the frequencies of {name} neither rise nor fall throughout; sort its channels")
    return freqs


def sampling(name: str, times: np.ndarray | None, params: Any) -> float:
    """Sampling time [s] of the cube called ``name``, from its ``times`` unless a parameter gives it."""
    if params.dt:
        return float(params.dt)
    if times is None or len(times) < 2:
        raise BadInputError(f"{name} has no times; give the sampling time dt in seconds")
    steps = np.diff(times.astype(np.float64))
    dt = float(f"{np.median(steps):.12g}")  # differences of stored times carry rounding that no clock has
    if not dt > 0 or np.abs(steps - dt).max() > 0.1 * dt:
        raise BadInputError(
            f"the samples of {name} are {steps.min():.6g} to {steps.max():.6g} s apart, expected equal steps; "
            "fill the gaps with masked samples, or give dt to take them as equal"
        )
    return dt

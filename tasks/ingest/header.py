"""What a reader finds out about a file before it reads any values: its axes, units, masks and place on Earth."""

from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

Kind = Literal["raw_cube", "radio_cube"]
Region = tuple[slice, ...]

DIMS: dict[str, tuple[str, ...]] = {"raw_cube": ("y", "x", "band"), "radio_cube": ("time", "channel", "y", "x")}


class Unreadable(ValueError):
    """One sentence on a file that cannot be ingested: what was found, what was expected, what to do."""


@dataclass(frozen=True, eq=False)
class Header:
    """What is known of one cube before any of its values are read.

    Values in the file mean ``stored * scale * gains + offset + offsets`` in ``units``. A float32 product holds the meaning; an
    integer product (radio only) holds what is stored and keeps ``scale`` and ``offset`` beside it.
    """

    format: str
    kind: Kind
    shape: tuple[int, ...]
    source_dtype: np.dtype
    units: str = ""
    scale: float = 1.0
    offset: float = 0.0
    gains: np.ndarray | None = None
    """(band,) factors on top of ``scale``, where they differ between bands."""
    offsets: np.ndarray | None = None
    """(band,) terms on top of ``offset``."""
    nodata: float | None = None
    wavelength: np.ndarray | None = None
    """(band,) centre wavelengths [nm]."""
    fwhm: np.ndarray | None = None
    """(band,) widths [nm]."""
    bad_bands: np.ndarray | None = None
    """(band,) True where the file calls a band bad."""
    freqs: np.ndarray | None = None
    """(channel,) centre frequencies [MHz], in the file's order."""
    time: np.ndarray | None = None
    """(time,) seconds since the first sample."""
    crs: str | None = None
    """Coordinate reference system as WKT."""
    transform: tuple[float, ...] | None = None
    """(a, b, c, d, e, f): x = a col + b row + c, y = d col + e row + f, at the pixel's upper left corner."""
    wcs: str | None = None
    """World coordinate cards of a FITS image, one card per line."""
    attrs: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    """What was guessed, left out or odd; one sentence each."""

    def __post_init__(self) -> None:
        if len(self.shape) != len(self.dims):
            raise Unreadable(f"found {len(self.shape)} axes {self.shape}, expected {len(self.dims)} {self.dims}")
        for name, size in zip(self.dims, self.shape, strict=True):
            if size < 1:
                raise Unreadable(f"axis {name} has length {size}, expected at least 1; the cube holds no data")
        if self.source_dtype.kind not in "biuf":
            raise Unreadable(
                f"values are {self.source_dtype}, expected integers or real floats; "
                "save real numbers (of complex data, the magnitude)"
            )
        for name in ("gains", "offsets", "wavelength", "fwhm", "bad_bands"):
            self._check_length(name, "band")
        self._check_length("freqs", "channel")

    def _check_length(self, name: str, axis: str) -> None:
        values = getattr(self, name)
        if values is None:
            return
        expected = self.shape[self.dims.index(axis)] if axis in self.dims else 0
        if len(values) != expected:
            raise Unreadable(f"{name} lists {len(values)} values, expected one for each of the {expected} {axis}s")

    @property
    def dims(self) -> tuple[str, ...]:
        """Names of the product's axes, in order."""
        return DIMS[self.kind]

    @property
    def dtype(self) -> np.dtype:
        """Type of the product's values: float32, or for radio a small type kept as it is."""
        small = self.source_dtype.kind in "iu" and self.source_dtype.itemsize <= 2
        half = self.source_dtype.kind == "f" and self.source_dtype.itemsize == 2 and not self.is_scaled
        keep = self.kind == "radio_cube" and (small or half)
        return self.source_dtype.newbyteorder("=") if keep else np.dtype(np.float32)

    @property
    def is_scaled(self) -> bool:
        """Whether stored values differ from what they mean."""
        return (self.scale, self.offset) != (1.0, 0.0) or self.gains is not None or self.offsets is not None

    @property
    def kept_scale(self) -> tuple[float, float]:
        """Scale and offset a reader of the *product* must still apply."""
        return (1.0, 0.0) if self.dtype == np.float32 else (self.scale, self.offset)

    def noted(self, *notes: str, **changes: Any) -> "Header":
        """This header with ``changes``, and ``notes`` that say why."""
        return replace(self, notes=(*self.notes, *notes), **changes)

"""One cube out of a file of named arrays (NumPy archive, MATLAB, HDF5, NetCDF, Zarr), with the vectors beside it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tasks.ingest.axes import order_of
from tasks.ingest.georeference import cf_georeference
from tasks.ingest.header import Header, Unreadable
from tasks.ingest.source import Sliceable, Source, Stored
from tasks.ingest.spectral_axis import frequency_mhz, wavelength_nm

_NOT_CUBES = re.compile(r"mask|flag|valid|quality|^qa|uncert|error|_bnds$|bounds|_v$|_f$|^gt$|_gt$|labels?$", re.I)
_PREFERRED = re.compile(r"^(cube|data|q|reflectance|radiance|hsi|image|img)$", re.I)
_WAVELENGTH = re.compile(r"wave_?len|^wl|^wvl|lambda|^wave$|spectral_?(axis|coord)", re.I)
_FWHM = re.compile(r"fwhm", re.I)
_GOOD = re.compile(r"^bbl$|good_?bands?", re.I)
_BAD = re.compile(r"bad_?bands?", re.I)
_FREQ = re.compile(r"^freq|^chan_?freq|^nu$", re.I)
_STEP = re.compile(r"^(tsamp|dt|cadence|sampling_time|time_step)(_s)?$", re.I)
_MASK = re.compile(r"(^|_)(mask|valid)$", re.I)
_FLAG = re.compile(r"^(flags?|flagged)$", re.I)
_SECONDS = {
    "s": 1.0, "sec": 1.0, "second": 1.0, "m": 1e-3, "millisecond": 1e-3, "u": 1e-6, "microsecond": 1e-6,
    "min": 60.0, "minute": 60.0, "h": 3600.0, "hour": 3600.0, "d": 86400.0, "day": 86400.0,
}  # fmt: skip
"""By the unit's name without its last s: "ms" is looked up as "m"."""
_LONGEST_VECTOR = 20_000_000


@dataclass(frozen=True, eq=False)
class Variable:
    """One named array of a file; ``dims`` holds the names of its axes where the format knows them."""

    array: Sliceable
    dims: tuple[str | None, ...] = ()
    attrs: Mapping[str, Any] = field(default_factory=dict)
    group: str = ""

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.array.shape)

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.float64))

    def beside(self, variables: "Mapping[str, Variable]", name: str) -> "Variable | None":
        """The variable called ``name`` in this one's own group, else in the root."""
        return variables.get(f"{self.group}/{name}") or variables.get(name)

    def load(self) -> np.ndarray:
        """All values; only asked of vectors."""
        return np.asarray(self.array[(slice(None),) * len(self.shape)])


@dataclass(frozen=True, eq=False)
class Inverted:
    """Flags read as a mask: nonzero = bad becomes False."""

    array: Sliceable

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.array.shape)

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(bool)

    def __getitem__(self, region: Any) -> np.ndarray:
        return np.asarray(self.array[region]) == 0


def assemble(
    format: str, variables: Mapping[str, Variable], variable: str | None, attrs: Mapping[str, Any] | None = None
) -> Source:
    """The cube named ``variable``, or the only likely one, with its axes, units, mask and place.

    Raises
    ------
    Unreadable
        If no array, or more than one, could be the cube; or its parts contradict each other.
    """
    name, notes = choose(variables, variable)
    cube = variables[name]
    spectral = _vectors(variables, _WAVELENGTH, cube)
    radio = _vectors(variables, _FREQ, cube)
    names = cube.dims or (None,) * len(cube.shape)
    kind, order, guessed = order_of(names, cube.shape, _length(spectral), _length(radio))
    stored = Stored(cube.array, order)
    header = Header(
        format,
        kind,
        stored.shape(_dims(kind)),
        np.dtype(cube.array.dtype),
        **_encoding(cube, variables),
        attrs=plain({**(attrs or {}), **cube.attrs, "source_variable": name}),
        notes=(*notes, *guessed),
    )
    header = _spectral(header, variables, cube, order) if kind == "raw_cube" else _radio(header, variables, cube, order)
    mask, note = _mask(variables, name, stored, header)
    return Source(cf_georeference(header.noted(*note), variables, cube), stored, mask)


def choose(variables: Mapping[str, Variable], wanted: str | None) -> tuple[str, tuple[str, ...]]:
    """Name of the cube among ``variables``, and a note if it was picked from several."""
    listing = ", ".join(f"{n} {v.shape}" for n, v in list(variables.items())[:12]) or "nothing"
    if wanted is not None:
        if wanted not in variables:
            raise Unreadable(f"there is no variable {wanted!r}; found {listing}; name one of these")
        return wanted, ()
    likely = {n: v for n, v in variables.items() if len(v.shape) in (3, 4) and v.array.dtype.kind in "iufc"}
    if not likely:
        raise Unreadable(
            f"found {listing}; expected an array with three axes (y, x, band) or four (time, channel, y, x)"
        )
    cubes = [n for n in likely if not _NOT_CUBES.search(n)] or list(likely)
    if len(cubes) > 1:
        cubes = [n for n in cubes if _PREFERRED.match(n.split("/")[-1])] or cubes
    if len(cubes) > 1:
        raise Unreadable(f"found {len(cubes)} cubes, {', '.join(cubes)}; say which one with variable=NAME")
    others = [n for n in likely if n != cubes[0]]
    return cubes[0], (f"variable {cubes[0]} is read; also there: {', '.join(others)}",) if others else ()


def plain(attrs: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes as JSON can hold them; long arrays and objects are left out."""
    out = {str(k): _plain(v) for k, v in attrs.items()}
    return {k: v for k, v in out.items() if v is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        value = value.tolist() if value.size <= 64 and value.dtype.kind in "biufSU" else None
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, list | tuple):
        value = [_plain(v) for v in value]
        value = value[0] if len(value) == 1 else value
    return value if isinstance(value, str | int | float | bool | list) else None


def _dims(kind: str) -> tuple[str, ...]:
    return ("y", "x", "band") if kind == "raw_cube" else ("time", "channel", "y", "x")


def _length(found: dict[str, Variable]) -> int | None:
    return next((v.size for v in found.values()), None)


def _vectors(variables: Mapping[str, Variable], pattern: re.Pattern, cube: Variable) -> dict[str, Variable]:
    """Numeric vectors of a fitting name, as long as some axis of the cube."""
    return {
        n: v
        for n, v in variables.items()
        if pattern.search(n.split("/")[-1])
        and v.array.dtype.kind in "biuf"
        and max(v.shape, default=0) == v.size <= _LONGEST_VECTOR
        and v.size in cube.shape
    }


def _vector(
    variables: Mapping[str, Variable], pattern: re.Pattern, cube: Variable, order: tuple, axis: str
) -> tuple[str, Variable] | None:
    """The vector that runs along ``axis``: one of a fitting name, else the axis's own coordinate if its unit fits."""
    if axis not in order:
        return None
    at = order.index(axis)
    for name, found in _vectors(variables, pattern, cube).items():
        if found.size == cube.shape[at]:
            return name, found
    return None


def _coordinate(variables: Mapping[str, Variable], cube: Variable, order: tuple, axis: str) -> Variable | None:
    """The variable that bears the name of the cube's own axis."""
    at = order.index(axis) if axis in order else None
    if at is None or not cube.dims or cube.dims[at] is None:
        return None
    found = cube.beside(variables, str(cube.dims[at]))
    return found if found is not None and found.size == cube.shape[at] and "units" in found.attrs else None


def _unit(name: str, found: Variable) -> str | None:
    said = _plain(found.attrs.get("units"))
    suffix = re.search(r"_(nm|um|microns?|angstrom|hz|khz|mhz|ghz)$", name, re.I)
    return said if isinstance(said, str) and said else suffix.group(1).lower() if suffix else None


def _encoding(cube: Variable, variables: Mapping[str, Variable]) -> dict[str, Any]:
    """Scale, offset, nodata and units, from the cube's attributes (CF) or single numbers beside it."""

    def number(*names: str) -> float | None:
        for n in names:
            value = _plain(cube.attrs.get(n))
            single = cube.beside(variables, n)
            if value is None and single is not None and single.size == 1 and single.array.dtype.kind in "iuf":
                value = float(single.load().ravel()[0])
            if isinstance(value, int | float):
                return float(value)
        return None

    scale, offset = number("scale_factor", "scale"), number("add_offset", "offset")
    units = _plain(cube.attrs.get("units"))
    return {
        "scale": 1.0 if scale is None else scale,
        "offset": 0.0 if offset is None else offset,
        "nodata": number("_FillValue", "missing_value", "nodata"),
        "units": units if isinstance(units, str) else "",
    }


def _spectral(header: Header, variables: Mapping[str, Variable], cube: Variable, order: tuple) -> Header:
    found = _vector(variables, _WAVELENGTH, cube, order, "band")
    own = _coordinate(variables, cube, order, "band")
    if found is None and own is not None:
        found = ("band", own)
    if found is None:
        header = header.noted("no wavelengths were found; bands are numbered")
    else:
        wavelength, notes = wavelength_nm(found[1].load(), _unit(*found))
        header = header.noted(*notes, wavelength=wavelength)
    if fwhm := _vector(variables, _FWHM, cube, order, "band"):
        values, _ = wavelength_nm(fwhm[1].load(), _unit(*fwhm) or (_unit(*found) if found else None) or "nm")
        header = header.noted(fwhm=values)
    for pattern, good in ((_GOOD, 1), (_BAD, 0)):
        if listed := _vector(variables, pattern, cube, order, "band"):
            header = header.noted(bad_bands=(listed[1].load().ravel() != 0) != bool(good))
    return header


def _radio(header: Header, variables: Mapping[str, Variable], cube: Variable, order: tuple) -> Header:
    found = _vector(variables, _FREQ, cube, order, "channel")
    centres = _coordinate(variables, cube, order, "channel")
    if found is None and centres is not None:
        found = ("channel", centres)
    if found is None:
        raise Unreadable(
            "the cube has time and channel axes but no frequencies; store the channel centres beside it "
            "as freq_mhz, and the sampling time as tsamp_s"
        )
    freqs, notes = frequency_mhz(found[1].load(), _unit(*found))
    header = header.noted(*notes, freqs=freqs)
    n_time = header.shape[0]
    own = _coordinate(variables, cube, order, "time")
    step = next((v for n, v in variables.items() if _STEP.match(n.split("/")[-1]) and v.size == 1), None)
    if own is not None:
        return header.noted(time=_seconds(own))
    if step is not None:
        return header.noted(time=np.arange(n_time) * float(step.load().ravel()[0]))
    if n_time > 1:
        raise Unreadable("the sampling time is missing; store it beside the cube as tsamp_s, in seconds")
    return header.noted(time=np.zeros(1))


def _seconds(own: Variable) -> np.ndarray:
    """A time axis as seconds since its first sample, also from "days since 2000-01-01"."""
    unit = str(_plain(own.attrs.get("units"))).split(" since ")[0].strip().lower()
    factor = _SECONDS.get(unit.removesuffix("s") or "s")
    if factor is None:
        raise Unreadable(f"the time axis is in {unit!r}, expected s, ms, us, minutes, hours or days; correct its units")
    values = own.load().ravel().astype(np.float64)
    return (values - values[0]) * factor


def _mask(
    variables: Mapping[str, Variable], cube: str, stored: Stored, header: Header
) -> tuple[Stored | None, tuple[str, ...]]:
    """The mask beside the cube, if there is one of a fitting name, type and shape."""
    for name, found in variables.items():
        last = name.split("/")[-1]
        flags = bool(_FLAG.search(last))
        if name == cube or not (flags or _MASK.search(last)) or found.array.dtype.kind not in "biu":
            continue
        order = _mask_order(found.shape, stored, header)
        if order is None:
            return None, (f"{name} {found.shape} fits no axes of the cube and is left out",)
        meaning = "nonzero = bad" if flags else "True = valid"
        array = Inverted(found.array) if flags else found.array
        return Stored(array, order), (f"{name} is the mask, {meaning}",)
    return None, ()


def _mask_order(shape: tuple[int, ...], stored: Stored, header: Header) -> tuple[str | int, ...] | None:
    if shape == tuple(stored.array.shape):
        return stored.order
    pair = ("time", "channel") if header.kind == "radio_cube" else ("y", "x")
    sizes = tuple(header.shape[header.dims.index(d)] for d in pair)
    return pair if shape == sizes else None

"""What ingestion leaves behind: raw spectral cubes and raw radio cubes, with their coordinates and their mask."""

from collections.abc import Mapping
from dataclasses import replace
from math import prod
from typing import Any, Protocol

import numpy as np

from storage.layout import CHUNK_BYTES, Coordinate, Layout, Variable, variable

SHARD_BYTES = 64 << 20
"""Upper limit of a tile's values [bytes]: several tiles and their temporaries share a worker's memory."""

SQUARE = 32
"""Edge of a radio cube's chunks [px]. Searches read a square of pixels over a long time; whole rows of the image, as
ENVI-like cubes have them, made each tile decode five times what it used."""

Coords = dict[str, Coordinate]


class CubeHeader(Protocol):
    """What a layout must know of the cube; `tasks.ingest.Header` says what each part means."""

    shape: tuple[int, ...]
    units: str
    wavelength: np.ndarray | None
    fwhm: np.ndarray | None
    bad_bands: np.ndarray | None
    freqs: np.ndarray | None
    time: np.ndarray | None
    crs: str | None
    transform: tuple[float, ...] | None
    wcs: str | None
    attrs: dict[str, Any]
    notes: tuple[str, ...]

    @property
    def dtype(self) -> np.dtype: ...

    @property
    def kept_scale(self) -> tuple[float, float]: ...


def raw_cube(header: CubeHeader, tile: int, **attrs: Any) -> Layout:
    """A (y, x, band) cube and its mask, a tile of which holds all bands; and the noise of every band."""
    n_y, n_x, n_band = header.shape
    edge = _edge(tile, n_band * header.dtype.itemsize)
    cube = variable(("y", "x", "band"), header.shape, header.dtype, (edge, edge, n_band), **_meaning(header))
    bands = _bands(header)
    place = _place(header, n_y, n_x)
    if "spatial_ref" in place:
        cube = replace(cube, attrs={**cube.attrs, "grid_mapping": "spatial_ref"})
    described = _layout("raw_cube", cube, {**place, **bands}, header, attrs)
    meaning = {"units": header.units or "1", "long_name": "noise of the band, standard deviation"}
    sigma = replace(variable(("band",), (n_band,), "float64", fill_value=float("nan")), attrs=meaning)
    return replace(described, variables={**described.variables, "sigma": sigma})


def radio_cube(header: CubeHeader, tile: int, **attrs: Any) -> Layout:
    """A (time, channel, y, x) cube in the file's own small type, its scale beside it, and its mask."""
    n_time, n_channel, n_y, n_x = header.shape
    plane = min(tile, n_y) * min(tile, n_x) * n_channel * header.dtype.itemsize
    long = max(1, min(n_time, SHARD_BYTES // plane))
    image = (n_channel, min(SQUARE, n_y), min(SQUARE, n_x))
    chunk = (max(1, min(long, CHUNK_BYTES // (prod(image) * header.dtype.itemsize))), *image)
    wanted = (long, n_channel, min(tile, n_y), min(tile, n_x))
    cell = tuple(-(-size // k) * k for size, k in zip(wanted, chunk, strict=True))
    cube = variable(("time", "channel", "y", "x"), header.shape, header.dtype, cell, **_meaning(header))
    cube = replace(cube, cell=cell, chunks=chunk)
    coords: Coords = {}
    if header.time is not None:
        seconds = {"units": "s", "long_name": "time since the first sample"}
        coords["time"] = Coordinate(("time",), np.asarray(header.time, np.float64), seconds)
    if header.freqs is not None:
        megahertz = {"units": "MHz", "long_name": "frequency of the channel's centre"}
        coords["channel"] = Coordinate(("channel",), np.asarray(header.freqs, np.float64), megahertz)
    return _layout("radio_cube", cube, coords, header, attrs)


def _edge(tile: int, pixel_bytes: int) -> int:
    return max(1, min(tile, int((SHARD_BYTES / pixel_bytes) ** 0.5)))


def _layout(kind: str, cube: Variable, coords: Coords, header: CubeHeader, attrs: Mapping[str, Any]) -> Layout:
    # The mask has the cube's chunks and shards, whatever its type would like: one writer owns both.
    valid = replace(cube, dtype="bool", fill_value=False, attrs={"long_name": "whether the value can be trusted"})
    kept = {f"source_{k}" if k in ("kind", "main") else k: v for k, v in header.attrs.items()}
    if header.wcs:
        kept["wcs"] = header.wcs
    group = {**kept, "notes": list(header.notes), "Conventions": "CF-1.11", **attrs}
    return Layout(kind, {"cube": cube, "valid": valid}, coords, group)


def _meaning(header: CubeHeader) -> dict[str, Any]:
    scale, offset = header.kept_scale
    scaled = {} if (scale, offset) == (1.0, 0.0) else {"scale_factor": scale, "add_offset": offset}
    name = header.attrs.get("long_name")
    return {"units": header.units or "1", "long_name": name if isinstance(name, str) else "measured values", **scaled}


def _bands(header: CubeHeader) -> Coords:
    n_band = header.shape[2]
    if header.wavelength is None:
        coords = {"band": Coordinate(("band",), np.arange(n_band), {"long_name": "band number"})}
    else:
        nanometres = {"units": "nm", "long_name": "wavelength", "standard_name": "radiation_wavelength"}
        coords = {"band": Coordinate(("band",), np.asarray(header.wavelength, np.float64), nanometres)}
    if header.fwhm is not None:
        coords["fwhm"] = Coordinate(
            ("band",), header.fwhm, {"units": "nm", "long_name": "width of the band at half height"}
        )
    if header.bad_bands is not None:
        coords["bad_bands"] = Coordinate(("band",), header.bad_bands, {"long_name": "band called bad by the file"})
    return coords


def _place(header: CubeHeader, n_y: int, n_x: int) -> Coords:
    """Pixel centres, and the projection as CF wants it; pixel numbers where the file has no place on Earth."""
    numbers = {
        name: Coordinate((name,), np.arange(n), {"units": "pixel", "long_name": long})
        for name, n, long in (("y", n_y, "line"), ("x", n_x, "sample"))
    }
    if header.transform is None:
        return numbers
    a, b, c, d, e, f = header.transform
    reference = {"GeoTransform": f"{c!r} {a!r} {b!r} {f!r} {d!r} {e!r}"}
    if header.crs:
        reference |= {"crs_wkt": header.crs, "spatial_ref": header.crs}
    coords = {**numbers, "spatial_ref": Coordinate((), np.array(0), reference)}
    if not (b or d):  # a rotated grid has no vectors of coordinates; the six numbers say it all
        names = _axis_names(header.crs)
        coords["y"] = Coordinate(("y",), f + e * (np.arange(n_y) + 0.5), names["y"])
        coords["x"] = Coordinate(("x",), c + a * (np.arange(n_x) + 0.5), names["x"])
    return coords


def _axis_names(crs: str | None) -> dict[str, dict[str, str]]:
    if crs and crs.upper().startswith(("GEOG", "GEODCRS")):
        return {
            "y": {"units": "degrees_north", "standard_name": "latitude"},
            "x": {"units": "degrees_east", "standard_name": "longitude"},
        }
    return {
        "y": {"units": "m", "standard_name": "projection_y_coordinate"},
        "x": {"units": "m", "standard_name": "projection_x_coordinate"},
    }

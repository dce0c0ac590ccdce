"""Write a cube as NetCDF-4 after the CF conventions: its own type and scale, the mask beside it."""

from pathlib import Path
from typing import Any

import numpy as np

from tasks.ingest.export.blocks import slabs
from tasks.ingest.georeference import pixel_centres
from tasks.ingest.header import Header
from tasks.ingest.source import Source

KINDS = ("raw_cube", "radio_cube")


def names(target: Path) -> list[Path]:
    """The one file."""
    return [target]


def write(source: Source, files: list[Path]) -> None:
    """Write cube, mask and coordinates."""
    import h5netcdf

    header = source.header
    with h5netcdf.File(files[0], "w") as file:
        file.dimensions = dict(zip(header.dims, header.shape, strict=True))
        file.attrs["Conventions"] = "CF-1.11"
        chunks = tuple(min(n, 64) if d in ("y", "x") else n for d, n in zip(header.dims, header.shape, strict=True))
        chunks = (min(chunks[0], 64), *chunks[1:])
        packed = {"chunks": chunks, "compression": "gzip", "compression_opts": 1, "shuffle": True}
        cube = file.create_variable("cube", header.dims, header.dtype, **packed)
        valid = file.create_variable("valid", header.dims, np.dtype("i1"), **packed)
        cube.attrs.update(_meaning(header))
        valid.attrs["long_name"] = "whether the value can be trusted"
        for region, values, there in slabs(source):
            cube[region] = values
            valid[region] = there.astype(np.int8)
        for name, (dim, values, attrs) in _coordinates(header).items():
            file.create_variable(name, (dim,), data=values).attrs.update(attrs)
        if header.transform is not None:
            reference = file.create_variable("spatial_ref", (), np.int64, data=np.int64(0))
            reference.attrs.update(_reference(header.transform, header.crs))


def _meaning(header: Header) -> dict[str, Any]:
    scale, offset = header.kept_scale
    scaled = {} if (scale, offset) == (1.0, 0.0) else {"scale_factor": scale, "add_offset": offset}
    place = {} if header.transform is None else {"grid_mapping": "spatial_ref"}
    return {"units": header.units or "1", **scaled, **place}


def _coordinates(header: Header) -> dict[str, tuple[str, np.ndarray, dict[str, str]]]:
    found = {
        "band": ("band", header.wavelength, {"units": "nm", "standard_name": "radiation_wavelength"}),
        "fwhm": ("band", header.fwhm, {"units": "nm"}),
        "bad_bands": ("band", None if header.bad_bands is None else header.bad_bands.astype(np.int8), {}),
        "time": ("time", header.time, {"units": "s"}),
        "channel": ("channel", header.freqs, {"units": "MHz"}),
    }
    if header.transform is not None and (centres := pixel_centres(header.transform, *header.shape[:2])):
        degrees = bool(header.crs) and header.crs.upper().startswith("GEOG")  # type: ignore[union-attr]
        units = ("degrees_north", "degrees_east") if degrees else ("m", "m")
        found |= {n: (n, v, {"units": u}) for n, v, u in zip("yx", centres, units, strict=True)}
    return {n: (d, v, a) for n, (d, v, a) in found.items() if v is not None}


def _reference(transform: tuple[float, ...], crs: str | None) -> dict[str, str]:
    a, b, c, d, e, f = transform
    named = {"crs_wkt": crs, "spatial_ref": crs} if crs else {}
    return {"GeoTransform": f"{c!r} {a!r} {b!r} {f!r} {d!r} {e!r}", **named}

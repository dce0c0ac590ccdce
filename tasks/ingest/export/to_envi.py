"""Write a cube as ENVI: rows of pixels with all their bands (bip), NaN for no data."""

from pathlib import Path

import numpy as np

from tasks.ingest.export.blocks import blanked
from tasks.ingest.header import Header
from tasks.ingest.source import Source

KINDS = ("raw_cube",)


def names(target: Path) -> list[Path]:
    """The binary file and the header that is named after it."""
    data = target.with_suffix(".img") if target.suffix.lower() == ".hdr" else target
    return [data, data.with_suffix(".hdr")]


def write(source: Source, files: list[Path]) -> None:
    """Write the image and its header."""
    data, header = files
    with data.open("wb") as out:
        for _, values in blanked(source):
            out.write(values.astype("<f4").tobytes())
    header.write_text(_text(source.header), encoding="utf-8")


def _text(header: Header) -> str:
    lines, samples, bands = header.shape
    fields = {
        "samples": samples, "lines": lines, "bands": bands, "header offset": 0, "file type": "ENVI Standard",
        "data type": 4, "interleave": "bip", "byte order": 0, "data ignore value": "nan",
    }  # fmt: skip
    if header.units:
        fields["data units"] = header.units
    if header.wavelength is not None:
        fields |= {"wavelength units": "Nanometers", "wavelength": _listed(header.wavelength)}
    if header.fwhm is not None:
        fields["fwhm"] = _listed(header.fwhm)
    if header.bad_bands is not None:
        fields["bbl"] = _listed((~header.bad_bands).astype(int))
    return "ENVI\n" + "".join(f"{k} = {v}\n" for k, v in (fields | _place(header)).items())


def _listed(values: np.ndarray) -> str:
    return "{" + ", ".join(repr(v) for v in values.tolist()) + "}"


def _place(header: Header) -> dict[str, str]:
    """Map info as GDAL writes it, and the projection as WKT in the dialect that ENVI reads."""
    if header.transform is None:
        return {}
    a, b, c, d, e, f = header.transform
    dx, dy, turn = float(np.hypot(a, b)), float(np.hypot(d, e)), float(np.rad2deg(np.arctan2(b, a)))
    rotation = f", rotation={turn!r}" if b or d else ""
    place = {"map info": f"{{Arbitrary, 1, 1, {c!r}, {f!r}, {dx!r}, {dy!r}, 0, North{rotation}}}"}
    if header.crs:
        from rasterio.crs import CRS

        place["coordinate system string"] = "{" + CRS.from_wkt(header.crs).to_wkt(version="WKT1_ESRI") + "}"
    return place

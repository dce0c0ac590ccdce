"""Back to the formats that other programs read: ENVI, NetCDF, GeoTIFF, FITS; values, wavelengths, mask and place kept."""

from pathlib import Path
from types import ModuleType

from tasks.ingest.export import to_envi, to_fits, to_geotiff, to_netcdf
from tasks.ingest.header import Unreadable
from tasks.ingest.readers import open_source

FORMATS: dict[str, ModuleType] = {"envi": to_envi, "netcdf": to_netcdf, "geotiff": to_geotiff, "fits": to_fits}
ENDINGS = {
    ".hdr": "envi", ".img": "envi", ".nc": "netcdf", ".nc4": "netcdf", ".tif": "geotiff", ".tiff": "geotiff",
    ".fits": "fits", ".fit": "fits",
}  # fmt: skip


def export(uri: Path | str, target: Path, format: str | None = None) -> list[Path]:
    """Write the cube at ``uri`` (a product, or any file that can be ingested) to ``target``; return the files made.

    Parameters
    ----------
    uri : path or address
    target : Path
        Must not exist yet.
    format : str, optional
        One of ``FORMATS``; by default what the ending of ``target`` says.

    Raises
    ------
    Unreadable
        If the format is not known or cannot hold this kind of cube, or ``target`` is there already.
    """
    chosen = format or ENDINGS.get(target.suffix.lower())
    if chosen not in FORMATS:
        raise Unreadable(
            f"no format is known for {target.name!r}; end it in {', '.join(ENDINGS)}, or name one of {', '.join(FORMATS)}"
        )
    source = open_source(uri)
    writer = FORMATS[chosen]
    if source.header.kind not in writer.KINDS:
        fitting = ", ".join(n for n, w in FORMATS.items() if source.header.kind in w.KINDS)
        raise Unreadable(f"{chosen} cannot hold a {source.header.kind}; choose one of {fitting}")
    files = writer.names(target)
    if there := [f for f in files if f.exists()]:
        raise Unreadable(f"{there[0]} is there already; choose another name or remove it")
    target.parent.mkdir(parents=True, exist_ok=True)
    parts = [f.with_name(f".{f.name}.part") for f in files]
    try:
        writer.write(source, parts)
        for part, file in zip(parts, files, strict=True):
            part.replace(file)
    finally:
        for part in parts:
            part.unlink(missing_ok=True)
    return files

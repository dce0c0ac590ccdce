"""Write a cube as GeoTIFF: tiled, compressed, wavelengths in the bands' tags, NaN for no data."""

from pathlib import Path

from tasks.ingest.export.blocks import blanked
from tasks.ingest.header import Header
from tasks.ingest.source import Source

KINDS = ("raw_cube",)


def names(target: Path) -> list[Path]:
    """The one file."""
    return [target]


def write(source: Source, files: list[Path]) -> None:
    """Write all bands by slabs of rows, one block high, so that no block is compressed twice."""
    import warnings

    import rasterio
    from rasterio.errors import NotGeoreferencedWarning
    from rasterio.transform import Affine

    header = source.header
    n_y, n_x, n_band = header.shape
    profile = {
        "driver": "GTiff", "height": n_y, "width": n_x, "count": n_band, "dtype": "float32", "nodata": float("nan"),
        "compress": "deflate", "predictor": 3, "interleave": "band", "BIGTIFF": "IF_SAFER",
    }  # fmt: skip
    if header.transform is not None:
        profile["transform"] = Affine(*header.transform)
    if header.crs:
        profile["crs"] = header.crs
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(files[0], "w", **profile) as image:
            for (rows, _, _), values in blanked(source):
                image.write(values.transpose(2, 0, 1), window=((rows.start, rows.stop), (0, n_x)))
            for i in range(n_band):
                image.update_tags(i + 1, **_tags(header, i))
            image.units = (header.units or None,) * n_band


def _tags(header: Header, band: int) -> dict[str, str]:
    tags = {}
    if header.wavelength is not None:
        tags |= {"wavelength": repr(float(header.wavelength[band])), "wavelength_units": "Nanometers"}
    if header.fwhm is not None:
        tags["fwhm"] = repr(float(header.fwhm[band]))
    if header.bad_bands is not None:
        tags["good_band"] = str(int(not header.bad_bands[band]))
    return tags

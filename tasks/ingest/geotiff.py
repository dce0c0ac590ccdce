"""GeoTIFF: bands of an image with its projection, read by windows."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tasks.ingest.header import Header
from tasks.ingest.source import Source, Stored
from tasks.ingest.spectral_axis import wavelength_nm

_MARKS = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")


@dataclass(frozen=True)
class RasterArray:
    """The bands of a raster, axes (band, y, x); the file is opened for each read, so that the address pickles."""

    path: str
    dtype: np.dtype
    shape: tuple[int, ...]

    def __getitem__(self, region: Any) -> np.ndarray:
        bands, rows, columns = region
        with _open(self.path) as image:
            return image.read(list(range(bands.start + 1, bands.stop + 1)), window=(_ends(rows), _ends(columns)))


@dataclass(frozen=True)
class RasterMask:
    """The mask that a raster carries for all its bands, axes (y, x), True = valid."""

    path: str
    shape: tuple[int, ...]

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(bool)

    def __getitem__(self, region: Any) -> np.ndarray:
        with _open(self.path) as image:
            return image.dataset_mask(window=(_ends(region[0]), _ends(region[1]))) > 0


def accepts(path: Path) -> bool:
    """Whether ``path`` begins as TIFF does."""
    try:
        with path.open("rb") as file:
            return file.read(4) in _MARKS
    except OSError:
        return False


def files(path: Path) -> list[Path]:
    """The file, and what GDAL keeps beside it."""
    beside = (path.with_name(path.name + ending) for ending in (".aux.xml", ".msk"))
    return [path, *(p for p in (*beside, path.with_suffix(".tfw")) if p.is_file())]


def open(path: Path, variable: str | None = None) -> Source:
    """The image at ``path``; ``variable`` means nothing to this format."""
    from rasterio.enums import MaskFlags

    with _open(path) as image:
        dtype = np.result_type(*image.dtypes)
        array = RasterArray(str(path), dtype, (image.count, image.height, image.width))
        header = Header(
            "geotiff",
            "raw_cube",
            (image.height, image.width, image.count),
            dtype,
            nodata=image.nodata,
            units=image.units[0] or "",
            attrs={k.lower(): v for k, v in image.tags().items() if k not in ("AREA_OR_POINT",)},
        )
        header = _georeferenced(_spectral(_scaled(header, image), image), image)
        masked = MaskFlags.per_dataset in image.mask_flag_enums[0]
    mask = Stored(RasterMask(str(path), array.shape[1:]), ("y", "x")) if masked else None
    return Source(header, Stored(array, ("band", "y", "x")), mask)


def _open(path: str | Path) -> Any:
    import warnings

    import rasterio
    from rasterio.errors import NotGeoreferencedWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)  # said in the header's notes
        return rasterio.open(path, driver="GTiff")


def _ends(part: slice) -> tuple[int, int]:
    return part.start, part.stop


def _scaled(header: Header, image: Any) -> Header:
    gains, offsets = np.array(image.scales, float), np.array(image.offsets, float)
    return header.noted(gains=gains if (gains != 1).any() else None, offsets=offsets if offsets.any() else None)


def _spectral(header: Header, image: Any) -> Header:
    """Wavelengths as GDAL keeps them: each band's own tags, in one of two spellings."""
    own = [image.tags(i) for i in image.indexes]
    imagery = [image.tags(i, ns="IMAGERY") for i in image.indexes]
    centres = _numbers(own, "wavelength") or _numbers(imagery, "CENTRAL_WAVELENGTH_UM")
    if centres is None:
        return header.noted("no wavelengths were found; bands are numbered")
    unit = "um" if _numbers(own, "wavelength") is None else own[0].get("wavelength_units")
    wavelength, notes = wavelength_nm(np.array(centres), unit)
    widths = _numbers(own, "fwhm") or _numbers(imagery, "FWHM_UM")
    if widths is not None and wavelength is not None:
        header = header.noted(fwhm=np.array(widths) * (wavelength / np.array(centres)))
    good = _numbers(own, "good_band")
    if good is not None:
        header = header.noted(bad_bands=np.array(good) == 0)
    return header.noted(*notes, wavelength=wavelength)


def _numbers(tags: list[dict[str, str]], name: str) -> list[float] | None:
    """One number of each band, or None unless all have it."""
    try:
        return [float(tag[name]) for tag in tags]
    except (KeyError, ValueError):
        return None


def _georeferenced(header: Header, image: Any) -> Header:
    if image.transform.is_identity:
        return header.noted("the image has no place on Earth (no transform); pixels are numbered")
    transform = tuple(float(v) for v in image.transform[:6])
    if image.crs is None:
        return header.noted(
            "the image has a transform but no projection (CRS); coordinates are kept", transform=transform
        )
    return header.noted(crs=image.crs.to_wkt(), transform=transform)

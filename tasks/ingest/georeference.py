"""Where a cube lies on Earth: map projections and affine transforms, in the spellings that formats use."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tasks.ingest.header import Header


def wkt(definition: Any) -> str | None:
    """A coordinate reference system ("EPSG:32616", any WKT, PROJ) as WKT, or None where it makes no sense."""
    from rasterio.crs import CRS
    from rasterio.errors import CRSError

    try:
        return CRS.from_user_input(definition).to_wkt() or None
    except (CRSError, ValueError, TypeError):
        return None


def pixel_centres(transform: tuple[float, ...], n_y: int, n_x: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Coordinates (y, x) of the pixels' centres; None for a rotated grid, which has no such vectors."""
    a, b, c, d, e, f = transform
    if b or d:
        return None
    return f + e * (np.arange(n_y) + 0.5), c + a * (np.arange(n_x) + 0.5)


def transform_of(y: np.ndarray, x: np.ndarray) -> tuple[float, ...] | None:
    """The affine transform whose pixel centres are ``y`` and ``x``; None if they are not evenly spaced."""
    if min(len(y), len(x)) < 2:
        return None
    dy, dx = np.diff(y), np.diff(x)
    even = np.allclose(dy, dy[0], rtol=1e-3, atol=0) and np.allclose(dx, dx[0], rtol=1e-3, atol=0)
    if not even or dx[0] == 0 or dy[0] == 0:
        return None
    step_y, step_x = (y[-1] - y[0]) / (len(y) - 1), (x[-1] - x[0]) / (len(x) - 1)
    return (float(step_x), 0.0, float(x[0] - step_x / 2), 0.0, float(step_y), float(y[0] - step_y / 2))


def cf_georeference(header: Header, variables: Mapping[str, Any], cube: Any) -> Header:
    """``header`` with the place that CF attributes and coordinate vectors give, if any."""
    if header.kind != "raw_cube":
        return header
    mapping = cube.beside(variables, str(cube.attrs.get("grid_mapping", "spatial_ref")))
    attrs = {} if mapping is None else mapping.attrs
    crs = attrs.get("crs_wkt") or attrs.get("spatial_ref")
    transform = _gdal_transform(attrs.get("GeoTransform")) or _from_coordinates(header, variables, cube)
    if crs is None and transform is None:
        return header
    return header.noted(crs=wkt(_text(crs)) if crs is not None else None, transform=transform)


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _gdal_transform(text: Any) -> tuple[float, ...] | None:
    """GDAL lists the same six numbers in another order: c a b f d e."""
    try:
        c, a, b, f, d, e = (float(part) for part in _text(text).replace(",", " ").split())
    except ValueError:
        return None
    return (a, b, c, d, e, f)


def _from_coordinates(header: Header, variables: Mapping[str, Any], cube: Any) -> tuple[float, ...] | None:
    found = {}
    for axis, names in (("y", ("y", "lat", "latitude", "northing")), ("x", ("x", "lon", "longitude", "easting"))):
        size = header.shape[header.dims.index(axis)]
        match = next((v for n in names if n in cube.dims and (v := cube.beside(variables, n))), None)
        if match is None or match.shape != (size,) or not match.attrs.get("units"):
            return None
        found[axis] = match.load().astype(np.float64)
    return transform_of(found["y"], found["x"])

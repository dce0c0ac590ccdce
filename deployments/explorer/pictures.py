"""Pictures of arrays: one plane of a product as PNG, one line through it as numbers, and the files that runs saved."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import HTTPException

from storage import query
from storage.errors import BadInputError
from storage.product import Product
from storage.settings import settings
from storage.stores import is_local, open_group

LARGEST_SIDE = 1024
SMALL_SIDE = 480
LARGEST_FILE = 64 << 20
TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".md": "text/plain; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".json": "application/json",
    ".csv": "text/csv; charset=utf-8",
    ".parquet": "application/vnd.apache.parquet",
}


def arrays(uri: str) -> list[dict[str, Any]]:
    """The arrays of a product that can be looked at: name, dims, shape, unit, and which two axes make the picture."""
    try:
        group = open_group(uri)
    except FileNotFoundError:  # a file product, or one whose bytes somebody removed by hand
        return []
    found = []
    for name, array in sorted(group.arrays()):
        named = array.metadata.dimension_names or [None] * array.ndim
        dims = tuple(dim or f"axis{i}" for i, dim in enumerate(named))
        if array.ndim < 2 or array.dtype.kind not in "fiub":
            continue
        across = _picture_axes(dims)
        found.append(
            {
                "name": name,
                "dims": dims,
                "shape": array.shape,
                "dtype": str(array.dtype),
                "units": array.attrs.get("units", ""),
                "long_name": array.attrs.get("long_name", name),
                "picture": [dims[i] for i in across],
                "sliders": [
                    {"dim": d, "size": n}
                    for i, (d, n) in enumerate(zip(dims, array.shape, strict=True))
                    if i not in across
                ],
            }
        )
    main = group.attrs.asdict().get("main")
    return sorted(found, key=lambda a: a["name"] != main)


def plane(product_id: str, variable: str, at: dict[str, int]) -> bytes:
    """PNG of one plane: grey, stretched from the 1st to the 99th percentile; invalid pixels are dark red."""
    from PIL import Image

    array, dims = _array(product_id, variable)
    across = _picture_axes(dims)
    region = tuple(
        _every(array.shape[i]) if i in across else _index(dims[i], at, array.shape[i]) for i in range(len(dims))
    )
    values = array.read(region).squeeze(axis=tuple(i for i in range(len(dims)) if i not in across)).astype("f8")
    image = Image.fromarray(stretched(values, array.dtype == np.bool_))
    if max(image.size) < SMALL_SIDE:  # small scenes are shown large, pixel by pixel
        factor = -(-SMALL_SIDE // max(image.size))
        image = image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    out = BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def profile(product_id: str, variable: str, along: str, at: dict[str, int]) -> dict[str, Any]:
    """The values of one line through the array (a spectrum, a light curve), with the coordinate along it."""
    array, dims = _array(product_id, variable)
    if along not in dims:
        raise BadInputError(f"{variable} has no axis {along!r}; it has {', '.join(dims)}")
    sizes = dict(zip(dims, array.shape, strict=True))
    region = tuple(slice(0, min(sizes[d], 20_000)) if d == along else _index(d, at, sizes[d]) for d in dims)
    values = array.read(region).ravel().astype("f8")
    shown = [float(v) if np.isfinite(v) else None for v in values]
    coordinate = array[along].read().tolist() if along in array else list(range(len(shown)))
    return {
        "along": along,
        "coordinate": coordinate[: len(shown)],
        "values": shown,
        "units": array.attrs.get("units", ""),
    }


def saved_file(product_id: str) -> tuple[Path, str]:
    """Path and media type of a file product; never anything but a published file below the store."""
    row = _row(product_id)
    path = Path(row["uri"])
    store = settings().store
    if not is_local(row["uri"]) or not is_local(store) or not path.resolve().is_relative_to(Path(store).resolve()):
        raise HTTPException(404, f"{row['name']} is not a file of this machine's store; open it at {row['uri']}")
    if not path.is_file():
        raise HTTPException(404, f"{row['name']} is an array, not a file; its page shows it plane by plane")
    if path.stat().st_size > LARGEST_FILE:
        raise HTTPException(413, f"{row['name']} has {path.stat().st_size >> 20} MB; open it at {path}")
    # Unknown types, HTML among them, are only ever offered for download.
    return path, TYPES.get(path.suffix.lower(), "application/octet-stream")


def _row(product_id: str) -> dict[str, Any]:
    try:
        return query.product(product_id)
    except BadInputError as error:
        raise HTTPException(404, str(error)) from error


def _array(product_id: str, variable: str) -> tuple[Product, tuple[str, ...]]:
    known = {a["name"]: a for a in arrays(_row(product_id)["uri"])}
    if variable not in known:
        raise HTTPException(404, f"there is no array {variable!r} to look at; there are {', '.join(known) or 'none'}")
    return Product(_row(product_id)["uri"], variable), known[variable]["dims"]


def _picture_axes(dims: tuple[str, ...]) -> tuple[int, int]:
    """(y, x) where the array has them, else its last two axes."""
    return (dims.index("y"), dims.index("x")) if {"y", "x"} <= set(dims) else (len(dims) - 2, len(dims) - 1)


def _index(dim: str, at: dict[str, int], size: int) -> slice:
    index = at.get(dim, size // 2)
    if not 0 <= index < size:
        raise BadInputError(f"{dim} is {index}, but there are {size}; give 0 to {size - 1}")
    return slice(index, index + 1)


def _every(size: int) -> slice:
    """Few enough samples of an axis for a picture."""
    return slice(0, size, max(1, -(-size // LARGEST_SIDE)))


def stretched(values: np.ndarray, mask: bool) -> np.ndarray:
    """A plane (y, x) as grey pixels (y, x, 3), from the 1st to the 99th percentile; what is not finite is dark red."""
    good = np.isfinite(values)
    low, high = np.percentile(values[good], (1, 99)) if good.any() and not mask else (0.0, 1.0)
    scaled = np.clip((np.where(good, values, low) - low) / ((high - low) or 1.0), 0, 1)
    grey = np.repeat((scaled * 255).astype("u1")[..., None], 3, axis=-1)
    grey[~good] = (96, 0, 0)
    return grey

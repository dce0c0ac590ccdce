"""What denoising leaves behind: clean cubes with their noise, outlier masks; and the scratch arrays of its passes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from storage.layout import Coordinate, Layout, variable
from storage.product import Product
from storage.stores import open_group

ARRAYS = ("cube", "valid", "outlier", "sigma", "sigma_after", "snr", "sigma_column", "rare", "uncertainty")
"""Variables of a cube's group that are no coordinates of another cube made from it."""

STRIP_BYTES = 32 << 20
"""Size of a strip of columns: its mending needs several times as much [bytes]."""

COLUMNS = 64
"""Columns whose noise is told together: as many as a chunk holds."""


@dataclass(frozen=True)
class MaskedCube(Product):
    """A stored cube whose ``valid`` lies elsewhere: its own mask and a person's, together."""

    mask: Product | None = None

    def __getitem__(self, variable: str) -> Product:
        return self.mask if variable == "valid" and self.mask else super().__getitem__(variable)

    def __contains__(self, variable: str) -> bool:
        return (variable == "valid" and self.mask is not None) or super().__contains__(variable)


def mask(noisy: Product) -> Layout:
    """Scratch: which samples of ``noisy`` are valid by all masks."""
    return Layout("mask", {"valid": variable(("y", "x", "band"), noisy.shape, "bool", noisy.grid)})


def clean_cube(
    noisy: Product, edge: int, sigma: np.ndarray, sigma_after: np.ndarray, snr: np.ndarray, linear: bool = False
) -> Layout:
    """A denoised (y, x, band) cube like ``noisy``, its mask, the noise of each band before and after, the signal over
    that noise, the noise of each column and band, rare pixels; and the uncertainty of each sample if ``linear``."""
    described = variable(("y", "x", "band"), noisy.shape, "float32", (edge, edge, noisy.shape[2]), **_meaning(noisy))
    valid = replace(
        described, dtype="bool", fill_value=False, attrs={"long_name": "whether the input could be trusted"}
    )
    units = noisy.attrs.get("units", "1")
    noise = {
        "sigma": Coordinate(("band",), sigma, {"units": units, "long_name": "noise of the input, standard deviation"}),
        "sigma_after": Coordinate(
            ("band",), sigma_after, {"units": units, "long_name": "expected error of the result, root mean square"}
        ),
    }
    noise["snr"] = Coordinate(("band",), snr, {"units": "1", "long_name": "mean of the band over its noise"})
    _, n_x, n_band = noisy.shape
    columns = variable(
        ("x", "band"), (n_x, n_band), "float32", (min(n_x, COLUMNS), n_band), fill_value=float("nan"),
        units=units, long_name="noise of the input in each column, standard deviation",
    )  # fmt: skip
    rare = variable(
        ("y", "x"),
        noisy.shape[:2],
        "bool",
        described.cell[:2],
        long_name="more than noise was removed: a rare material?",
    )
    arrays = {"cube": described, "valid": valid, "sigma_column": columns, "rare": rare}
    if linear:
        meaning = {"units": units, "long_name": "standard deviation that the noise of the input causes in the result"}
        arrays["uncertainty"] = replace(described, fill_value=float("nan"), attrs=meaning)
    return Layout("clean_cube", arrays, coordinates_of(noisy) | noise, {"Conventions": "CF-1.11"})


def outliers(noisy: Product) -> Layout:
    """Which samples of ``noisy`` no smooth scene with its noise explains: impulses and dead lines."""
    outlier = variable(
        ("y", "x", "band"), noisy.shape, "bool", _strip(noisy), long_name="sample replaced as an outlier"
    )
    return Layout("outliers", {"outlier": outlier}, coordinates_of(noisy), {"Conventions": "CF-1.11"})


def mended(noisy: Product) -> Layout:
    """Scratch: a float32 cube like ``noisy`` in strips of whole columns, NaN where a pixel has no valid band."""
    described = variable(("y", "x", "band"), noisy.shape, "float32", _strip(noisy))
    return Layout("mended", {"cube": described})


def _strip(noisy: Product) -> tuple[int, int, int]:
    """Whole columns, as many as make `STRIP_BYTES`."""
    n_y, n_x, n_band = noisy.shape
    return n_y, max(1, min(n_x, STRIP_BYTES // (4 * n_y * n_band))), n_band


def parts(name: str, n_tile: int, shape: Sequence[int], dtype: str) -> Layout:
    """Scratch: one array per tile, to be merged in the tiles' order."""
    whole, cell = (n_tile, *shape), (1, *shape)
    dims = ("tile", *(f"axis_{i}" for i in range(len(shape))))
    return Layout(name, {"part": variable(dims, whole, dtype, cell)})


def moments(noisy: Product, edge: int, length: int) -> Layout:
    """Scratch: ``length`` packed numbers for every tile of ``noisy``."""
    return parts("moments", -(-noisy.shape[0] // edge) * -(-noisy.shape[1] // edge), (length,), "float64")


def scores(shape: tuple[int, int], n_component: int, edge: int) -> Layout:
    """Scratch: the scores of every pixel, NaN where it has no valid band."""
    dims, whole = ("y", "x", "component"), (*shape, n_component)
    described = variable(dims, whole, "float32", (edge, edge, n_component))
    return Layout("scores", {"scores": described})


def coordinates_of(product: Product) -> dict[str, Coordinate]:
    """Every small array that lies beside a product's cube."""
    group = open_group(product.uri)
    found = {}
    for name, array in group.arrays():
        if name not in ARRAYS and name != product.variable:
            attrs = {k: v for k, v in array.attrs.asdict().items() if k != "coordinates"}
            found[name] = Coordinate(
                tuple(str(d) for d in array.metadata.dimension_names or ()), np.asarray(array[...]), attrs
            )
    return found


def _meaning(noisy: Product) -> dict[str, Any]:
    attrs = noisy.attrs
    kept = {k: attrs[k] for k in ("grid_mapping",) if k in attrs}
    return {"units": attrs.get("units", "1"), "long_name": f"{attrs.get('long_name', 'values')}, denoised", **kept}

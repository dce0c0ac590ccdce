"""Zarr arrays and groups, version 2 and 3, local or behind any address that fsspec knows."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from tasks.ingest.header import Unreadable
from tasks.ingest.source import Source
from tasks.ingest.variables import Variable, assemble

_MARKERS = ("zarr.json", ".zgroup", ".zarray", ".zmetadata")


@dataclass(frozen=True)
class ZarrArray:
    """One array of a store, by address."""

    path: str
    name: str
    dtype: np.dtype
    shape: tuple[int, ...]

    def __getitem__(self, region: Any) -> np.ndarray:
        return np.asarray(_open_array(self.path, self.name)[region])


def accepts(path: Path | str) -> bool:
    """Whether ``path`` is a folder that holds Zarr metadata, or an address that ends in .zarr."""
    if isinstance(path, str):
        return path.rstrip("/").endswith(".zarr")
    try:
        return any((path / marker).is_file() for marker in _MARKERS)
    except OSError:
        return False


def files(path: Path | str) -> list[Path]:
    """The store's folder, which counts as one; nothing of a remote one."""
    return [] if isinstance(path, str) else [path]


def open(path: Path | str, variable: str | None = None) -> Source:
    """The cube in the store at ``path``."""
    import zarr

    node = zarr.open(str(path), mode="r")
    if isinstance(node, zarr.Array):
        found = {"cube": _variable(str(path), "", node)}
    else:
        found = {name: _variable(str(path), name, array) for name, array in node.arrays()}
    if not found:
        raise Unreadable("the Zarr group holds no arrays; name the group that does")
    return assemble("zarr", found, variable, dict(node.attrs) if not isinstance(node, zarr.Array) else {})


@lru_cache(maxsize=16)
def _open_array(path: str, name: str) -> Any:
    import zarr

    node = zarr.open(path, mode="r")
    return node if isinstance(node, zarr.Array) else node[name]


def _variable(path: str, name: str, array: Any) -> Variable:
    attrs = dict(array.attrs)
    dims = array.metadata.dimension_names if array.metadata.zarr_format == 3 else attrs.pop("_ARRAY_DIMENSIONS", None)
    if array.metadata.zarr_format == 2 and array.fill_value is not None and array.fill_value != 0:
        attrs.setdefault("_FillValue", float(array.fill_value))
    return Variable(ZarrArray(path, name, np.dtype(array.dtype), tuple(array.shape)), tuple(dims or ()), attrs)

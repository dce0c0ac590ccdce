"""HDF5 and NetCDF: a tree of named arrays; NetCDF-4 is HDF5, the older NetCDF has a plain layout of its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tasks.ingest.header import Unreadable
from tasks.ingest.source import Source
from tasks.ingest.variables import Variable, assemble, plain

HDF5_MARK = b"\x89HDF\r\n\x1a\n"
_MOST_ARRAYS = 5000


@dataclass(frozen=True)
class Hdf5Array:
    """One dataset of an HDF5 file; the file is opened for each read, so that the address pickles."""

    path: str
    name: str
    dtype: np.dtype
    shape: tuple[int, ...]

    def __getitem__(self, region: Any) -> np.ndarray:
        import h5py

        with h5py.File(self.path, "r") as file:
            dataset: Any = file[self.name]
            return np.asarray(dataset[region])


@dataclass(frozen=True)
class NetCdf3Array:
    """One variable of a classic NetCDF file, mapped for each read."""

    path: str
    name: str
    dtype: np.dtype
    shape: tuple[int, ...]

    def __getitem__(self, region: Any) -> np.ndarray:
        with _open_classic(self.path) as file:
            return np.array(file.variables[self.name].data[region])


def accepts(path: Path) -> bool:
    """Whether ``path`` begins as HDF5 or classic NetCDF does."""
    return path.is_file() and (_is_hdf5(path) or _is_classic(path))


def files(path: Path) -> list[Path]:
    """The file itself."""
    return [path]


def open(path: Path, variable: str | None = None) -> Source:
    """The array called ``variable`` ("group/name"), or the only likely cube."""
    if _is_classic(path):
        found, attrs = _classic_variables(path)
        return assemble("netcdf", found, variable, attrs)
    found, attrs = hdf5_variables(path)
    return assemble("netcdf" if "_NCProperties" in attrs else "hdf5", found, variable, attrs)


def hdf5_variables(path: Path) -> tuple[dict[str, Variable], dict[str, Any]]:
    """All numeric arrays of an HDF5 file with their attributes and named axes, and the file's own attributes."""
    import h5py

    found: dict[str, Variable] = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.shape is not None and item.dtype.kind in "biufcSO":
            if len(found) >= _MOST_ARRAYS:
                raise Unreadable(f"the file holds more than {_MOST_ARRAYS} arrays; copy the cube to a file of its own")
            array = Hdf5Array(str(path), name, item.dtype, item.shape)
            found[name] = Variable(array, _axis_names(item), _attributes(item), name.rpartition("/")[0])

    with h5py.File(path, "r") as file:
        file.visititems(visit)  # follows no links, so neither a loop nor another file
        attrs = _attributes(file)
    return found, attrs


def _axis_names(item: Any) -> tuple[str | None, ...]:
    names = []
    for axis in item.dims:
        try:
            scale = axis[0].name if len(axis) else None
        except (RuntimeError, KeyError, OSError):
            scale = None
        names.append((scale or axis.label or "").rsplit("/", 1)[-1] or None)
    return tuple(names) if any(names) else ()


def _attributes(item: Any) -> dict[str, Any]:
    kept = {}
    for name in list(item.attrs):
        try:
            kept[name] = item.attrs[name]
        except (OSError, TypeError, ValueError, KeyError, RuntimeError):
            continue  # an attribute of a type NumPy lacks says nothing about the values
    return plain(kept)


def _is_hdf5(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(8) == HDF5_MARK
    except OSError:
        return False


def _is_classic(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(4) in (b"CDF\x01", b"CDF\x02")
    except OSError:
        return False


def _open_classic(path: str | Path) -> Any:
    from scipy.io import netcdf_file

    return netcdf_file(str(path), "r", mmap=True, maskandscale=False)


def _classic_variables(path: Path) -> tuple[dict[str, Variable], Mapping[str, Any]]:
    with _open_classic(path) as file:
        # No variable may outlive its helper: SciPy can only unmap what nobody refers to.
        return {name: _classic_variable(path, name, file.variables[name]) for name in file.variables}, plain(
            file._attributes
        )


def _classic_variable(path: Path, name: str, item: Any) -> Variable:
    shape, dtype, size = tuple(int(n) for n in item.shape), np.dtype(item.data.dtype), path.stat().st_size
    if np.prod(shape, dtype=object) * dtype.itemsize > size:
        raise Unreadable(f"variable {name} of shape {shape} does not fit into {size} bytes; copy the file again")
    array = NetCdf3Array(str(path), name, dtype, shape)
    return Variable(array, tuple(item.dimensions), plain(item._attributes))

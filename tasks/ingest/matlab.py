"""MATLAB files: version 5 (its own format) and 7.3 (HDF5 with the axes reversed)."""

from pathlib import Path
from typing import IO

import numpy as np

from tasks.ingest.hdf5 import hdf5_variables
from tasks.ingest.header import Unreadable
from tasks.ingest.raw import Reversed, SpooledArray
from tasks.ingest.source import Source
from tasks.ingest.variables import Variable, assemble

_CLASSES = {
    "double": "f8", "single": "f4", "logical": "u1", "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2",
    "int32": "i4", "uint32": "u4", "int64": "i8", "uint64": "u8",
}  # fmt: skip


def accepts(path: Path) -> bool:
    """Whether ``path`` begins as MATLAB 5 or 7.3 files do."""
    return _version(path) is not None


def files(path: Path) -> list[Path]:
    """The file itself."""
    return [path]


def open(path: Path, variable: str | None = None) -> Source:
    """The array called ``variable``, or the only likely cube."""
    return assemble("matlab", _old(path) if _version(path) == "5.0" else _new(path), variable)


def _version(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            start = file.read(10)
    except OSError:
        return None
    return start[7:10].decode() if start in (b"MATLAB 5.0", b"MATLAB 7.3") else None


def _new(path: Path) -> dict[str, Variable]:
    found, _ = hdf5_variables(path)
    arrays = {n: v for n, v in found.items() if not n.startswith("#") and v.array.dtype.kind in "biuf"}
    return {n: Variable(Reversed(v.array), (), v.attrs) for n, v in arrays.items()} or _no_arrays(found)


def _no_arrays(found: dict[str, Variable]) -> dict[str, Variable]:
    """Complex arrays are compounds of two fields in version 7.3, and text is not an array of numbers."""
    raise Unreadable(
        f"the MATLAB file holds no array of real numbers (found {', '.join(found) or 'nothing'}); save the cube as one"
    )


def _old(path: Path) -> dict[str, Variable]:
    from scipy.io import whosmat

    found = {}
    for name, shape, kind in whosmat(str(path)):
        if kind in _CLASSES:
            array = SpooledArray(str(path), name, np.dtype(_CLASSES[kind]), tuple(shape)[::-1], _unpack)
            found[name] = Variable(Reversed(array))
    return found


def _unpack(path: str, name: str, out: IO[bytes]) -> None:
    import warnings

    from scipy.io import loadmat, whosmat

    # MATLAB stores whole numbers in the smallest type that holds them; `mat_dtype` gives back the type of the array,
    # and drops imaginary parts with no more than a warning.
    with warnings.catch_warnings():
        warnings.simplefilter("error", np.exceptions.ComplexWarning)
        try:
            values = loadmat(path, variable_names=[name], mat_dtype=True)[name]
        except np.exceptions.ComplexWarning as error:
            raise Unreadable(f"{name} is complex, expected real numbers; save its magnitude") from error
    dtype = _CLASSES[next(kind for found, _, kind in whosmat(path) if found == name)]
    for plane in np.moveaxis(values, -1, 0):  # one plane at a time: the last axis is the slowest in MATLAB's order
        out.write(np.asarray(plane.T, dtype, order="C").tobytes())

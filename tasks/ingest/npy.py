"""NumPy files: one array (.npy) or an archive of named ones (.npz). Pickled objects are never loaded."""

import io
import shutil
import zipfile
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy_format

from tasks.ingest.axes import order_of
from tasks.ingest.header import DIMS, Header, Unreadable
from tasks.ingest.raw import RawArray, Reversed, SpooledArray, check_size
from tasks.ingest.source import Source, Stored
from tasks.ingest.variables import Variable, assemble

_LONGEST_MEMBER_LIST = 10_000


def accepts(path: Path) -> bool:
    """Whether ``path`` is a NumPy array, or an archive of them that is not a mesh with its pieces."""
    start = _start(path)
    if start.startswith(b"\x93NUMPY"):
        return True
    if not start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError, EOFError):
        return path.suffix.lower() == ".npz"  # damaged, but claims to be ours: `open` says what is wrong
    return any(n.endswith(".npy") for n in names) and not {"vertices.npy", "faces.npy"} <= names


def files(path: Path) -> list[Path]:
    """The file itself."""
    return [path]


def open(path: Path, variable: str | None = None) -> Source:
    """The cube in ``path``; of an archive, the array called ``variable`` or the only likely one."""
    if _start(path).startswith(b"PK"):
        return _open_archive(path, variable)
    with path.open("rb") as file:
        shape, fortran, dtype, offset = _array_header(file)
    array = RawArray(str(path), dtype, shape[::-1] if fortran else shape, offset)
    check_size(array, "the NumPy header")
    return _bare(array, fortran)


def _start(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(8)
    except OSError:
        return b""


def _array_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype, int]:
    """Shape, Fortran order, type and where the values begin."""
    try:
        version = npy_format.read_magic(file)
        read = npy_format.read_array_header_1_0 if version == (1, 0) else npy_format.read_array_header_2_0
        shape, fortran, dtype = read(file)
    except ValueError as error:
        raise Unreadable(f"the NumPy header is damaged ({str(error).splitlines()[0]}); save the array again") from error
    if dtype.hasobject or dtype.names:
        raise Unreadable(
            f"values are {dtype}, expected plain numbers; save a numeric array (objects are never unpickled)"
        )
    return shape, fortran, dtype, file.tell()


def _bare(array: RawArray, fortran: bool) -> Source:
    names = (None,) * len(array.shape)
    kind, order, notes = order_of(names, array.shape[::-1] if fortran else array.shape)
    if kind == "radio_cube":
        raise Unreadable(
            "a bare array with four axes has no frequencies or times; save it with numpy.savez as cube, freq_mhz, tsamp_s"
        )
    stored = Stored(array, order[::-1] if fortran else order)
    header = Header("numpy", kind, stored.shape(DIMS[kind]), array.dtype, notes=notes)
    return Source(header.noted("no wavelengths were found; bands are numbered"), stored)


def _open_archive(path: Path, variable: str | None) -> Source:
    try:
        with zipfile.ZipFile(path) as archive:
            members = [m for m in archive.infolist() if m.filename.endswith(".npy")][:_LONGEST_MEMBER_LIST]
            found = {m.filename.removesuffix(".npy"): _member(path, archive, m) for m in members}
    except zipfile.BadZipFile as error:
        raise Unreadable(f"the archive is damaged ({error}); save or copy it again") from error
    return assemble("numpy", {n: v for n, v in found.items() if v is not None}, variable)


def _member(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Variable | None:
    with archive.open(info) as file:
        head = io.BytesIO(file.read(1 << 16))
    try:
        shape, fortran, dtype, offset = _array_header(head)
    except Unreadable:
        return None  # objects or damage in an array that is not needed stop nothing
    stored = shape[::-1] if fortran else shape
    if int(np.prod(stored, dtype=object)) * dtype.itemsize + offset != info.file_size:
        raise Unreadable(
            f"{info.filename} holds {info.file_size} bytes, which its shape {shape} of {dtype} contradicts"
        )
    array = SpooledArray(str(path), info.filename, dtype, stored, _unpack)
    return Variable(Reversed(array) if fortran else array)


def _unpack(path: str, name: str, out: IO[bytes]) -> None:
    with zipfile.ZipFile(path) as archive, archive.open(name) as member:
        _array_header(member)
        shutil.copyfileobj(member, out, 1 << 20)

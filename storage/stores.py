"""Places that hold products: a local folder, or an object store behind an fsspec URI."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import zarr
from zarr.abc.store import Store
from zarr.storage import FsspecStore, LocalStore

from storage.errors import StoreError


def is_local(uri: str) -> bool:
    """Whether ``uri`` is a path on this machine's file system."""
    return "://" not in uri


def open_store(uri: str, *, read_only: bool = False) -> Store:
    """The Zarr store at ``uri``."""
    return LocalStore(uri, read_only=read_only) if is_local(uri) else FsspecStore.from_url(uri, read_only=read_only)


def join(root: str, *parts: str) -> str:
    """``root`` extended by ``parts``, for paths and URIs alike."""
    return "/".join([root.rstrip("/"), *parts])


def exists(uri: str) -> bool:
    """Whether anything is stored at ``uri``."""
    if is_local(uri):
        return Path(uri).exists()
    fs, path = _filesystem(uri)
    return bool(fs.exists(path))


def remove(uri: str) -> None:
    """Delete what is stored at ``uri``, if anything is."""
    if is_local(uri):
        path = Path(uri)
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        return
    fs, path = _filesystem(uri)
    if fs.exists(path):
        fs.rm(path, recursive=True)


def move(source: str, target: str) -> None:
    """Rename within one local file system; readers see the whole or nothing."""
    Path(target).parent.mkdir(parents=True, exist_ok=True)
    try:
        os.replace(source, target)
        _sync_folder(Path(target).parent)
    except OSError as error:
        raise StoreError(
            f"{source} could not be moved to {target}: {error.strerror}; check the store's rights and space"
        ) from error


def write_bytes(uri: str, data: bytes) -> None:
    """Store ``data`` at ``uri``, whole or not at all."""
    if is_local(uri):
        path = Path(uri)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.part")
        part.write_bytes(data)
        os.replace(part, path)
        return
    fs, path = _filesystem(uri)
    fs.pipe(path, data)


def read_bytes(uri: str) -> bytes:
    """What is stored at ``uri``."""
    if is_local(uri):
        return Path(uri).read_bytes()
    fs, path = _filesystem(uri)
    return fs.cat(path)


def files(uri: str) -> Iterator[tuple[str, int]]:
    """Every file under ``uri`` as (name relative to it, bytes), sorted by name."""
    if is_local(uri):
        root = Path(uri)
        yield from sorted((p.relative_to(root).as_posix(), p.stat().st_size) for p in root.rglob("*") if p.is_file())
        return
    fs, path = _filesystem(uri)
    found = fs.find(path, detail=True)
    yield from sorted((name[len(path) :].lstrip("/"), info["size"]) for name, info in found.items())


def flush(uri: str) -> None:
    """Ask the disk to keep every file under ``uri``, so that a rename never publishes empty files."""
    if not is_local(uri):
        return
    paths = [p for p in Path(uri).rglob("*") if p.is_file()] if Path(uri).is_dir() else [Path(uri)]
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def open_group(uri: str) -> zarr.Group:
    """The Zarr group at ``uri``, for reading."""
    return zarr.open_group(open_store(uri, read_only=True), mode="r")


def _filesystem(uri: str):
    from fsspec.core import url_to_fs

    return url_to_fs(uri)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

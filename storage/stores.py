"""Places that hold products: a local folder, or an object store behind an fsspec URI."""

import errno
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import zarr
from zarr.abc.store import Store
from zarr.storage import FsspecStore, LocalStore

from storage.errors import StoreError

log = logging.getLogger("nightloom")

T = TypeVar("T")
TRIES = 5
FIRST_PAUSE = 0.2
REMOTE_OPTIONS = {"use_listings_cache": False}  # workers write what the driver lists: a remembered listing would be old
LASTING = {
    errno.ENOSPC,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.EDQUOT,
    errno.ENOENT,
    errno.EEXIST,
    errno.ENOTDIR,
    errno.EISDIR,
}


def is_local(uri: str) -> bool:
    """Whether ``uri`` is a path on this machine's file system."""
    return "://" not in uri


def open_store(uri: str, *, read_only: bool = False) -> Store:
    """The Zarr store at ``uri``."""
    if is_local(uri):
        return LocalStore(uri, read_only=read_only)
    return FsspecStore.from_url(uri, storage_options=REMOTE_OPTIONS, read_only=read_only)


@contextmanager
def one_sentence(what: str) -> Iterator[None]:
    """Turn what a store says into one sentence for a person; what may pass by itself stays as it is, to be retried."""
    try:
        yield
    except OSError as error:
        if not _lasts(error):
            raise
        said = os.strerror(error.errno) if error.errno else str(error)
        raise StoreError(f"{what}: {said}; free space or check rights") from error


def persistently(uri: str, action: "Callable[[], T]") -> "T":
    """Repeat ``action`` on an object store that answers badly for a moment, waiting twice as long each time."""
    tries = 1 if is_local(uri) else TRIES
    for number in range(1, tries + 1):
        try:
            return action()
        except OSError as error:
            if number == tries or _lasts(error):
                raise
            pause = FIRST_PAUSE * 2 ** (number - 1)
            log.warning("%s: %r; tried again in %.1f s", uri, error, pause)
            time.sleep(pause)
    raise AssertionError("not reached")


def _lasts(error: OSError) -> bool:
    return isinstance(error, (PermissionError, FileNotFoundError)) or error.errno in LASTING


def join(root: str, *parts: str) -> str:
    """``root`` extended by ``parts``, for paths and URIs alike."""
    return "/".join([root.rstrip("/"), *parts])


def exists(uri: str) -> bool:
    """Whether anything is stored at ``uri``."""
    if is_local(uri):
        return Path(uri).exists()
    fs, path = _filesystem(uri)
    return persistently(uri, lambda: bool(fs.exists(path)))


def remove(uri: str) -> None:
    """Delete what is stored at ``uri``, if anything is."""
    if is_local(uri):
        path = Path(uri)
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        return
    fs, path = _filesystem(uri)
    if persistently(uri, lambda: fs.exists(path)):
        persistently(uri, lambda: fs.rm(path, recursive=True))


def move(source: str, target: str) -> None:
    """Rename within one local file system; readers see the whole or nothing."""
    with one_sentence(f"{source} could not be moved to {target}"):
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        os.replace(source, target)
        _sync(Path(target).parent)


def write_bytes(uri: str, data: bytes) -> None:
    """Store ``data`` at ``uri``, whole or not at all."""
    with one_sentence(f"{uri} could not be written"):
        if is_local(uri):
            path = Path(uri)
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f".{path.name}.part")
            part.write_bytes(data)
            os.replace(part, path)
            return
        fs, path = _filesystem(uri)
        persistently(uri, lambda: fs.pipe(path, data))


def read_bytes(uri: str) -> bytes:
    """What is stored at ``uri``."""
    if is_local(uri):
        return Path(uri).read_bytes()
    fs, path = _filesystem(uri)
    return persistently(uri, lambda: fs.cat_file(path))


def files(uri: str) -> Iterator[tuple[str, int]]:
    """Every file under ``uri`` as (name relative to it, bytes), sorted by name."""
    if is_local(uri):
        yield from sorted(_local_files(uri, "")) if os.path.isdir(uri) else ()
        return
    fs, path = _filesystem(uri)
    found = persistently(uri, lambda: fs.find(path, detail=True))
    yield from sorted((name[len(path) :].lstrip("/"), info["size"]) for name, info in found.items())


def _local_files(folder: str, prefix: str) -> Iterator[tuple[str, int]]:
    """Files under ``folder``; scandir because datasets have thousands, and pathlib takes five times as long."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _local_files(entry.path, f"{prefix}{entry.name}/")
            elif entry.is_file():
                yield f"{prefix}{entry.name}", entry.stat().st_size


def children(uri: str) -> list[str]:
    """Names of what lies directly under ``uri``, sorted."""
    if is_local(uri):
        return sorted(p.name for p in Path(uri).iterdir()) if Path(uri).is_dir() else []
    fs, path = _filesystem(uri)
    if not persistently(uri, lambda: fs.isdir(path)):
        return []
    return sorted(name.rstrip("/").rsplit("/", 1)[-1] for name in persistently(uri, lambda: fs.ls(path, detail=False)))


MANY_FILES = 256
"""Above this, one sync of all disks costs less than one of each file: milliseconds each, for thousands of shards."""


def flush(uri: str) -> None:
    """Ask the disk to keep everything under ``uri``, so that a rename never publishes empty files."""
    if not is_local(uri):
        return
    with one_sentence(f"{uri} could not be kept on the disk"):
        paths = [Path(uri), *(Path(uri).rglob("*") if Path(uri).is_dir() else ())]
        if len(paths) > MANY_FILES:
            os.sync()
            return
        for path in paths:
            _sync(path)


def open_group(uri: str) -> zarr.Group:
    """The Zarr group at ``uri``, for reading."""
    return zarr.open_group(open_store(uri, read_only=True), mode="r")


def _filesystem(uri: str):
    from fsspec.core import url_to_fs

    return url_to_fs(uri, **REMOTE_OPTIONS)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""The inbox: which files are there, which flows take them, and which are still being written."""

import time
from collections.abc import Collection, Iterator
from datetime import UTC, date, datetime
from pathlib import Path

from flows._catalogue import FlowEntry
from storage.errors import BadInputError
from storage.sources import confined

SETTLED_SECONDS = 30.0
"""A file untouched for so long is taken as whole without a second look."""


class Inbox:
    """The files of one folder, at all depths; remembers what it refused and why.

    ``since``, ``until``: only files last written on the one day (UTC) or later, and before the other.
    """

    def __init__(self, folder: Path, since: date | None = None, until: date | None = None) -> None:
        self.folder = confined(folder)
        if not folder.is_dir():
            raise BadInputError(f"the inbox {folder} is no folder; make it and put files there, or set NIGHTLOOM_INBOX")
        self._since, self._until = since, until
        self.growing: list[str] = []
        self._unreadable: list[dict[str, str]] = []
        self._unknown: list[Path] = []
        self._consumed: set[Path] = set()

    def files(self, entries: list[FlowEntry], only: Collection[str] = ()) -> Iterator[tuple[Path, list[FlowEntry]]]:
        """Each readable file (or folder that is one thing) with the flows that accept it; of these ``only`` some, if named.

        A file for flows that are not asked for is left where it is.
        """
        found = list(self._walk(self.folder, [e for e in entries if hasattr(e.module, "accepts")]))
        found = [(path, [e for e in takers if not only or e.name in only]) for path, takers in found]
        growing = _still_growing([path for path, _ in found])
        self.growing = [str(path) for path in growing]
        for path, takers in found:
            if path not in self._consumed and not _waits(path, growing):
                claimed = [entry for entry in takers if self._claims(entry, path)]
                if claimed:
                    yield path, claimed

    @property
    def refused(self) -> list[dict[str, str]]:
        """Files that no flow could use; one that belongs to another file (a header) is not among them."""
        unknown = [p for p in self._unknown if p not in self._consumed]
        return self._unreadable + [_refusal(path, _what_is_wrong(path)) for path in unknown]

    def _walk(self, folder: Path, entries: list[FlowEntry]) -> Iterator[tuple[Path, list[FlowEntry]]]:
        for path in sorted(p for p in folder.iterdir() if not p.name.startswith(".")):
            takers = [e for e in entries if _accepts(e, path)]
            if not takers and path.is_dir() and not path.is_symlink():
                yield from self._walk(path, entries)
            elif self._in_time(path):
                if takers:
                    yield path, takers
                else:
                    self._unknown.append(path)

    def _in_time(self, path: Path) -> bool:
        """Whether the file was last written in the days asked for."""
        if self._since is None and self._until is None:
            return True
        day = datetime.fromtimestamp(path.lstat().st_mtime, UTC).date()
        return (self._since is None or day >= self._since) and (self._until is None or day < self._until)

    def _claims(self, entry: FlowEntry, path: Path) -> bool:
        """Whether the flow finds all files that belong to this one; they are then taken together."""
        try:
            inputs = entry.params_model(source=str(path)).inputs()  # type: ignore[call-arg]
        except Exception as error:  # noqa: BLE001 - a file made to break a reader is refused like any other
            self._unreadable.append(_refusal(path, " ".join(str(error).split()), entry.name))
            self._consumed.add(path)
            return False
        self._consumed |= {Path(name) for names in inputs.values() for name in names}
        return True


def _accepts(entry: FlowEntry, path: Path) -> bool:
    try:
        return entry.module.accepts(path)
    except Exception:  # noqa: BLE001 - as above
        return False


def _refusal(path: Path, reason: str, flow: str = "ingest") -> dict[str, str]:
    return {"path": str(path), "flow": flow, "reason": reason}


def _still_growing(paths: list[Path]) -> set[Path]:
    """Files that someone still writes: they are left for the next night."""
    young = {p: p.stat().st_size for p in paths if p.is_file() and time.time() - p.stat().st_mtime < SETTLED_SECONDS}
    if young:
        time.sleep(1.0)
    return {p for p, size in young.items() if p.stat().st_size != size}


def _waits(path: Path, growing: set[Path]) -> bool:
    """Whether ``path``, or a file beside it of the same name but for its ending (an image's header), still grows."""
    stems = {path.stem, Path(path.stem).stem}
    return path in growing or any(g.parent == path.parent and g.stem in stems for g in growing)


def _what_is_wrong(path: Path) -> str:
    """One sentence on a file that no flow accepts."""
    try:
        if path.is_file() and path.stat().st_size == 0:
            return "the file is empty; copy it again"
    except OSError as error:
        return f"the file cannot be read: {error.strerror}; check its rights"
    return "no flow knows what this is; `nightloom doctor FILE` says what was looked for"

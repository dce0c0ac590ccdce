"""Areas: where a run's products are while it works (staging, out of every reader's sight) and where they are published.

Both names follow from the run's key, so that a run started again finds what an interrupted one left. On an object store,
where nothing can be renamed, both are one place, and the database row alone makes a product public.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from storage.digest import digest_bytes, digest_json
from storage.layout import Layout
from storage.product import Product, create
from storage.publish import release, seal
from storage.stores import exists, files, flush, is_local, join, move, open_group, remove, write_bytes
from storage.writes import ShardWrite

STAGING = ".staging"


@dataclass(frozen=True)
class Area:
    """The staging and the public folder of one key and generation."""

    store: str
    flow: str
    key: str
    generation: int

    @classmethod
    def nowhere(cls) -> "Area":
        """The area of a run that makes nothing."""
        return cls("", "", "", 0)

    @property
    def _folder(self) -> str:
        return join(self.flow, self.key[:12] + (f"-{self.generation}" if self.generation else ""))

    @property
    def staging(self) -> str:
        """Where products are made."""
        return join(self.store, STAGING, self._folder) if is_local(self.store) else join(self.store, self._folder)

    def public_name(self, name: str) -> str:
        """Public address of the product or file called ``name``."""
        return join(self.store, self._folder, name)

    def public(self, staged: str) -> str:
        """Public address of what is staged at ``staged``."""
        return self.public_name(staged[len(self.staging) + 1 :])

    def product(self, name: str, layout: Layout) -> Product:
        """A staged product of this layout: a new one, or what an interrupted run left of it."""
        staged, public = join(self.staging, f"{name}.zarr"), self.public_name(f"{name}.zarr")
        if staged != public and not exists(staged) and exists(public):  # killed between the renames and the rows
            move(public, staged)
        stamp = _stamp(layout)
        if not (exists(staged) and _stamp_of(staged) == stamp):
            create(staged, layout)
            # Written last: a group without it was left half made.
            _open_for_attrs(staged).attrs["layout_digest"] = stamp
        return Product(staged, layout.main)

    def seal(self, product: Product, written: Iterable[ShardWrite], attrs: Mapping[str, Any]) -> dict[str, Any]:
        """Validate a staged product and write its manifest."""
        return seal(product.uri, written, {**attrs, "uri": self.public(product.uri), "sealed": True})

    def save(self, name: str, data: bytes) -> dict[str, Any]:
        """Stage a file; return its digest and size."""
        write_bytes(join(self.staging, name), data)
        return {"digest": digest_bytes(data), "bytes": len(data)}

    def release(self) -> None:
        """Give everything that was sealed or saved its public name."""
        if not is_local(self.store):
            return
        from pathlib import Path

        root = Path(self.staging)
        for staged in sorted(root.rglob("*.zarr")) if root.exists() else []:
            if Product(str(staged)).group_attrs.get("sealed"):
                release(str(staged), self.public(str(staged)))
        for staged in sorted(root.rglob("*")) if root.exists() else []:
            if staged.is_file() and not any(parent.suffix == ".zarr" for parent in staged.parents):
                flush(str(staged))
                release(str(staged), self.public(str(staged)))

    def discard(self, published: Collection[str]) -> None:
        """Remove what is left in staging, or on an object store beside what is ``published``: scratch arrays."""
        if is_local(self.store):
            remove(self.staging)
            return
        for name in {file.split("/", 1)[0] for file, _ in files(self.staging)}:
            uri = join(self.staging, name)
            if not any(kept == uri or kept.startswith(f"{uri}/") for kept in published):
                remove(uri)


def _stamp(layout: Layout) -> str:
    coords = {name: [c.dims, digest_bytes(c.values.tobytes()), dict(c.attrs)] for name, c in layout.coords.items()}
    return digest_json([layout.kind, {n: vars(v) for n, v in layout.variables.items()}, coords, dict(layout.attrs)])


def _stamp_of(uri: str) -> str | None:
    try:
        return open_group(uri).attrs.get("layout_digest")  # type: ignore[return-value]
    except (FileNotFoundError, KeyError, ValueError):
        return None


def _open_for_attrs(uri: str):
    import zarr

    from storage.stores import open_store

    return zarr.open_group(open_store(uri), mode="r+")

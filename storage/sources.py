"""Sources: what a person names as input (a file, a product's URI or id), and whether they may read it from where they are."""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import or_, select

from storage.database import session
from storage.digest import digest_files, digest_json
from storage.errors import BadInputError
from storage.identity import through_server
from storage.settings import settings
from storage.stores import is_local
from storage.tables import ProductRow


@dataclass(frozen=True)
class Source:
    """One input by content; ``product_id`` is set when it is a published product."""

    role: str
    uri: str
    digest: str
    bytes: int
    product_id: str | None = None


def resolve(role: str, names: list[str]) -> Source:
    """Find what ``names`` mean and digest it."""
    found = [product_row(name) for name in names]
    if all(found):
        rows = [row for row in found if row is not None]
        digest = rows[0].digest if len(rows) == 1 else digest_json([row.digest for row in rows])
        product_id = rows[0].id if len(rows) == 1 else None
        return Source(role, rows[0].uri, digest, sum(row.bytes for row in rows), product_id)
    paths = [readable_path(name) for name in names]
    try:
        digest, size = digest_files(paths)
    except OSError as error:
        raise BadInputError(f"{error.filename} cannot be read: {error.strerror}; check its rights") from error
    return Source(role, str(paths[0]), digest, size)


def product_row(name: str) -> ProductRow | None:
    """The product with this URI, id or beginning of an id."""
    with session() as s:
        wanted = or_(ProductRow.uri == name, ProductRow.uri == name.rstrip("/"))
        if 6 <= len(name) <= 16 and set(name) <= set("0123456789abcdef"):
            wanted = or_(wanted, ProductRow.id.startswith(name))
        rows = s.scalars(select(ProductRow).where(wanted, ProductRow.deleted.is_(None)).limit(2)).all()
    if len(rows) > 1:
        raise BadInputError(f"{name} is the beginning of several product ids; give more of it")
    return rows[0] if rows else None


def readable_path(name: str) -> Path:
    """The existing path called ``name``, if this process may use it."""
    if not is_local(name):
        raise BadInputError(
            f"{name} is not a published product; give a local file, or a product from `nightloom products ls`"
        )
    path = confined(Path(name))
    try:
        present = path.exists()
    except OSError as error:  # a loop of links, a name too long
        raise BadInputError(f"{name} cannot be followed: {error.strerror}; give a plain file") from error
    if not present:
        raise BadInputError(f"there is no file or product {name!r}; check the name, or look at `nightloom products ls`")
    return path


def confined(path: Path) -> Path:
    """``path`` itself; refused when the run came through the server and the path leads outside the allowed roots.

    A person's own ``nightloom run`` has that person's rights; anyone who can reach the server could name any file.
    """
    if not through_server():
        return path
    try:
        real = path.resolve(strict=False)
    except (OSError, RuntimeError) as error:
        raise BadInputError(f"{path} cannot be followed: {error}; give a plain file") from error
    roots = [Path(root).resolve() for root in settings().roots if is_local(root)]
    if not any(real.is_relative_to(root) for root in roots):
        allowed = ", ".join(str(root) for root in roots)
        raise BadInputError(
            f"{path} lies outside the allowed roots ({allowed}); move it there or add its folder to NIGHTLOOM_ROOTS"
        )
    return path

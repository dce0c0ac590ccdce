"""Datasets: their versions, what changed from one to the next, and the samples of a version with a picture of each."""

from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from fastapi import HTTPException, Path, Query

from deployments.explorer import pictures
from deployments.explorer.answers import Page, Size, paging
from storage import query
from storage.dataset import Dataset, DatasetVersion, dataset, version, versions
from storage.dataset_files import CONTACT, DATA, DATASHEET, compare, read_index
from storage.errors import BadInputError
from storage.reader import ShardReader
from storage.stores import exists, join, read_bytes

if TYPE_CHECKING:
    import pandas as pd

FIRST, LAST = ("record", "id", "label", "split", "group"), ("content", "source", "source_digest", "source_uri")
"""Columns of the index that are shown before and behind the others."""
SMALLEST = 8
"""Samples along both axes from which an array is worth a picture."""
EDGE, GAP = 96, 4
"""Size of a picture and the space between two [px]."""

Label = Annotated[str, Query(max_length=200, description="only samples with this label")]
Split = Annotated[str, Query(max_length=32, description="only samples of this split")]
Number = Annotated[int, Query(ge=1, le=1_000_000, description="number of a version")]
PathNumber = Annotated[int, Path(ge=1, le=1_000_000, description="number of a version")]
Record = Annotated[int, Path(ge=0, le=2**53, description="number of a sample")]


def datasets() -> dict[str, Any]:
    """Every dataset with its newest version."""
    newest: dict[str, dict[str, Any]] = {}
    for row in query.table(DatasetVersion, order=DatasetVersion.published, limit=10_000):
        newest[row["dataset"]] = row
    made = {row["name"]: row for row in query.table(Dataset, limit=10_000)}
    rows = [
        {"dataset": name, "kind": row["kind"], "versions": row["number"], "created": made[name]["created"]}
        | {key: row[key] for key in ("live", "groups", "bytes", "splits", "labels", "published")}
        for name, row in sorted(newest.items())
        if name in made
    ]
    return {"rows": rows}


def one_dataset(name: str) -> dict[str, Any]:
    """One dataset: its recipe and its versions, newest first."""
    found = dataset(name)
    if found is None:
        raise HTTPException(404, f"there is no dataset {name!r}; look at /datasets")
    rows = query.table(
        DatasetVersion, order=DatasetVersion.number.desc(), limit=1000, only=DatasetVersion.dataset == name
    )
    return {
        "name": name,
        "kind": found.kind,
        "recipe": found.recipe,
        "created": found.created.isoformat(),
        "rows": rows,
    }


def difference(name: str, old: Number, new: Number) -> dict[str, Any]:
    """What changed between two versions: samples, labels, splits, statistics."""
    found = compare(_version(name, old), _version(name, new))
    lines = [{"what": key, "value": len(value) if isinstance(value, list) else value} for key, value in found.items()]
    return {"name": name, "old": old, "new": new, "found": found, "rows": lines}


def samples(
    name: str, number: PathNumber, split: Split = "", label: Label = "", page: Page = 1, size: Size = 50
) -> dict[str, Any]:
    """The samples of one version, in the order of their records."""
    row = _version(name, number)
    index = _index(row.folder)
    kept = index
    for column, wanted in (("split", split), ("label", label)):
        if wanted:
            kept = kept[kept[column].astype(str) == wanted]
    between = [c for c in index if c not in FIRST + LAST]
    columns = [c for c in FIRST if c in index] + between + [c for c in LAST if c in index]
    part = kept[columns].iloc[(page - 1) * size : page * size]
    sheet = join(row.folder, DATASHEET)
    return {
        "name": name,
        "version": query.table(DatasetVersion, only=DatasetVersion.id == row.id)[0],
        "columns": columns,
        "rows": [{key: _plain(value) for key, value in line.items()} for line in part.to_dict("records")],
        "pictured": bool(_pictured(ShardReader(join(row.folder, DATA)))),
        "datasheet": read_bytes(sheet).decode() if exists(sheet) else "",
        "asked": {"split": split, "label": label},
        "splits": sorted(index["split"].astype(str).unique()),
        "labels": sorted(index["label"].astype(str).unique())[:200],
    } | paging(len(kept), page, size)


def sample_picture(name: str, number: int, record: int) -> bytes:
    """PNG of one sample: its images side by side, each stretched by itself to a square; of a cube the middle plane."""
    from io import BytesIO

    from PIL import Image

    reader = ShardReader(join(_version(name, number).folder, DATA))
    shown = _pictured(reader)
    if not shown or not 0 <= record < len(reader):
        raise HTTPException(404, f"{name}/v{number:03d} has no picture of a sample {record}")
    found = reader[record]
    sheet = Image.new("RGB", (len(shown) * (EDGE + GAP) - GAP, EDGE), "white")
    for place, variable in enumerate(shown):
        image = Image.fromarray(pictures.stretched(_plane(found[variable]), False))
        sheet.paste(image.resize((EDGE, EDGE), Image.Resampling.NEAREST), (place * (EDGE + GAP), 0))
    out = BytesIO()
    sheet.save(out, "PNG")
    return out.getvalue()


def contact_sheet(name: str, number: int) -> bytes:
    """PNG with many samples of a version at once."""
    path = join(_version(name, number).folder, CONTACT)
    if not exists(path):
        raise HTTPException(404, f"{name}/v{number:03d} has no contact sheet")
    return read_bytes(path)


def _version(name: str, number: int) -> DatasetVersion:
    try:
        return version(f"{name}/v{number}")
    except BadInputError as error:
        known = ", ".join(str(v.number) for v in versions(name)[-5:]) or "none"
        raise HTTPException(404, f"{name!r} has no version {number}; there is {known}") from error


@lru_cache(maxsize=8)
def _index(folder: str) -> "pd.DataFrame":
    """The index of a version; published once and never changed."""
    return read_index(folder)


def _pictured(reader: ShardReader) -> list[str]:
    """The arrays of which a sample is an image: two axes or more, of some size."""
    found = [name for name in reader.variables if len(reader.dims[name]) >= 3]
    if not found or not len(reader):
        return []
    first = reader[0]
    return [name for name in found if min(first[name].shape[:2]) >= SMALLEST and first[name].dtype.kind == "f"]


def _plane(values: np.ndarray) -> np.ndarray:
    """The first two axes, in the middle of the others."""
    return values[(slice(None), slice(None), *(n // 2 for n in values.shape[2:]))].astype(float)


def _plain(value: Any) -> Any:
    """A number or a text that JSON knows; NaN is nothing."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    return None if isinstance(value, float) and not np.isfinite(value) else value

"""Datasets for other tools: WebDataset tar files to stream from an object store, Parquet for everything that reads tables,
an Icechunk repository that grows from version to version."""

import io
import json
import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from storage.dataset_files import DATA, read_index
from storage.dataset_icechunk import commit
from storage.errors import BadInputError, UnknownNameError
from storage.reader import ShardReader
from storage.stores import join

if TYPE_CHECKING:
    import pandas as pd

TAR_BYTES = 256 << 20
BATCH = 256
ICECHUNK = "icechunk"


def export(folder: str, target: str | Path, form: str) -> list[str]:
    """Write the version in ``folder`` to files in ``target``, split by split; return their names. The form `icechunk`
    adds a commit to the repository at ``target`` and returns its tag.

    Raises
    ------
    BadInputError
        If ``target`` holds files already, or ``form`` is not known.
    """
    if form == ICECHUNK:
        return [commit(folder, str(target))]
    if form not in FORMS:
        raise UnknownNameError("export format", form, [*FORMS, ICECHUNK])
    place = Path(target)
    if place.exists() and any(place.iterdir()):
        raise BadInputError(f"{place} is not empty; name a new folder to export to")
    place.mkdir(parents=True, exist_ok=True)
    index, reader = read_index(folder), ShardReader(join(folder, DATA))
    return [
        name
        for split, rows in index.groupby("split", sort=True)
        for name in FORMS[form](place, str(split), rows.reset_index(drop=True), reader)
    ]


def webdataset(place: Path, split: str, rows: "pd.DataFrame", reader: ShardReader) -> Iterator[str]:
    """Tar files of at most 256 MB: for each sample its arrays as .npy and its facts as .json, under one key."""
    number = written = 0
    with ExitStack() as open_file:
        tar: tarfile.TarFile | None = None
        for row, arrays in _samples(rows, reader):
            members = {f"{name}.npy": _npy(values) for name, values in arrays.items()}
            members["json"] = json.dumps(_plain(row)).encode()
            size = sum(map(len, members.values()))
            if tar is None or written + size > TAR_BYTES:
                open_file.close()
                name = f"{split}-{number:06d}.tar"
                tar, written, number = open_file.enter_context(tarfile.open(place / name, "w")), 0, number + 1
                yield name
            _add(tar, str(row["id"]), members)
            written += size


def _add(tar: tarfile.TarFile, key: str, members: dict[str, bytes]) -> None:
    for ending, content in members.items():
        entry = tarfile.TarInfo(f"{key}.{ending}")
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))


def parquet(place: Path, split: str, rows: "pd.DataFrame", reader: ShardReader) -> Iterator[str]:
    """One table per split: the index, and each array as `array_<name>`, flattened to a list; its shape stands in the
    column's metadata."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    name, writer = f"{split}.parquet", None
    for start in range(0, len(rows), BATCH):
        part = rows[start : start + BATCH]
        table = pa.Table.from_pandas(part, preserve_index=False)
        for array, values in reader[part["record"].to_numpy()].items():
            flat = values.reshape(len(values), -1)
            column = pa.FixedSizeListArray.from_arrays(pa.array(flat.ravel()), flat.shape[1])
            field = pa.field(f"array_{array}", column.type, metadata={"shape": json.dumps(values.shape[1:])})
            table = table.append_column(field, column)
        writer = writer or pq.ParquetWriter(place / name, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()
        yield name


FORMS: dict[str, Callable[[Path, str, "pd.DataFrame", ShardReader], Iterator[str]]] = {
    "webdataset": webdataset,
    "parquet": parquet,
}


def _samples(rows: "pd.DataFrame", reader: ShardReader) -> Iterator[tuple[dict[str, Any], dict[str, np.ndarray]]]:
    for start in range(0, len(rows), BATCH):
        part = rows[start : start + BATCH]
        batch = reader[part["record"].to_numpy()]
        for i, row in enumerate(part.to_dict("records")):
            yield {str(k): v for k, v in row.items()}, {name: values[i] for name, values in batch.items()}


def _npy(values: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """Facts as JSON can hold them: what is not known is null."""
    return {k: None if isinstance(v, float) and not np.isfinite(v) else v for k, v in row.items()}

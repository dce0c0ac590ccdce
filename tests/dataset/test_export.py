"""Exports round-trip: what another tool reads is what the reader gives."""

import io
import json
import tarfile

import numpy as np
import pyarrow.parquet as pq
import pytest

from storage.dataset import LISTINGS, version
from storage.dataset_files import read_index
from storage.errors import BadInputError
from storage.reader import ShardReader


@pytest.fixture
def made(scene, build):
    for i in range(4):
        scene(i)
    build()
    return version("denoise")


def export(*given):
    return LISTINGS["datasets"].commands["export"](*given)["files"]


def test_tar_files_hold_every_sample_once(made, tmp_path, monkeypatch):
    monkeypatch.setattr("storage.dataset_export.TAR_BYTES", 30_000)
    names = export("denoise", str(tmp_path / "out"), "webdataset")
    assert len(names) > len(made.splits)
    index, reader, seen = read_index(made.folder).set_index("id"), ShardReader(made.uri), set()
    for name in names:
        with tarfile.open(tmp_path / "out" / name) as tar:
            for member in tar:
                key, _, ending = member.name.partition(".")
                content = tar.extractfile(member).read()
                if ending == "json":
                    facts = json.loads(content)
                    assert facts["split"] == name.split("-")[0] == index.loc[key, "split"]
                    seen.add(key)
                else:
                    stored = reader[index.loc[key, "record"]][ending.removesuffix(".npy")]
                    np.testing.assert_array_equal(np.load(io.BytesIO(content)), stored)
    assert seen == set(index.index)


def test_parquet_holds_arrays_with_their_shapes(made, tmp_path):
    names = export("denoise/v001", str(tmp_path / "out"), "parquet")
    assert names == [f"{split}.parquet" for split in sorted(made.splits)]
    reader, count = ShardReader(made.uri), 0
    for name in names:
        table = pq.read_table(tmp_path / "out" / name)
        records = table["record"].to_numpy()
        for array, expected in reader[records].items():
            shape = json.loads(table.schema.field(f"array_{array}").metadata[b"shape"])
            values = table[f"array_{array}"].combine_chunks().flatten().to_numpy().reshape(len(records), *shape)
            np.testing.assert_array_equal(values, expected)
        count += len(records)
    assert count == made.live


def test_exports_overwrite_nothing(made, tmp_path):
    (tmp_path / "mine").write_text("x")
    with pytest.raises(BadInputError, match="is not empty"):
        export("denoise", str(tmp_path), "parquet")
    with pytest.raises(BadInputError, match="did you mean 'parquet'"):
        export("denoise", str(tmp_path / "out"), "parket")


def test_verify_and_diff_from_the_command_line(made, scene, build):
    commands = LISTINGS["datasets"].commands
    assert commands["verify"]("denoise")["intact"]
    scene(9)
    build()
    assert commands["diff"]("denoise/v001", "denoise/v002")["added"] == 8
    shard = version("denoise").folder + "/data.zarr/noisy/c/4/0/0/0"
    with open(shard, "r+b") as file:
        file.write(b"\0\0\0\0")
    with pytest.raises(
        BadInputError, match=r"denoise/v002: 1 files are missing or damaged, first data.zarr/noisy/c/4/0/0/0"
    ):
        commands["verify"]("denoise/v002")
    with pytest.raises(BadInputError, match="no dataset version 'denoise/v003'"):
        commands["verify"]("denoise/v003")

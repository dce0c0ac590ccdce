"""Exports round-trip: what another tool reads is what the reader gives."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from storage.dataset import LISTINGS, version
from storage.dataset_files import read_index
from storage.dataset_icechunk import commit, opened
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
    shard = version("denoise").folder + "/data.zarr/noisy/c.4.0.0.0"
    with open(shard, "r+b") as file:
        file.write(b"\0\0\0\0")
    with pytest.raises(
        BadInputError, match=r"denoise/v002: 1 files are missing or damaged, first data.zarr/noisy/c.4.0.0.0"
    ):
        commands["verify"]("denoise/v002")
    with pytest.raises(BadInputError, match="no dataset version 'denoise/v003'"):
        commands["verify"]("denoise/v003")


def same_as(made, root, split_flag):
    """Whether a version in a repository holds what the reader gives, and which record is in which split."""
    for name, values in ShardReader(made.uri)[...].items():
        np.testing.assert_array_equal(root[name][...], values)
    index = read_index(made.folder)
    meanings = split_flag.attrs["flag_meanings"].split()
    assert [meanings[i] for i in split_flag[...][index["record"].to_numpy()]] == index["split"].tolist()


def test_a_repository_grows_with_the_dataset_and_every_version_stays_readable(made, scene, build, tmp_path):
    place = str(tmp_path / "grown")
    assert export("denoise", place, "icechunk") == ["v001"]
    first, before = version("denoise"), stored_bytes(place)
    assert export("denoise", place, "icechunk") == ["v001"]
    assert stored_bytes(place) == before, "the same version again writes nothing"
    scene(9)
    build()
    assert export("denoise", place, "icechunk") == ["v002"]
    for row, tag in ((first, "v001"), (version("denoise"), "v002")):
        root = opened(place, tag)
        same_as(row, root, root["split_flag"])
    build(name="other")
    with pytest.raises(BadInputError, match="holds denoise up to version 1, and version 1 of other cannot follow it"):
        commit(version("other").folder, place)


def test_a_commit_whose_tag_was_never_set_is_found_again(made, tmp_path, monkeypatch):
    import icechunk

    place, set_tag = str(tmp_path / "grown"), icechunk.Repository.create_tag
    monkeypatch.setattr(icechunk.Repository, "create_tag", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        export("denoise", place, "icechunk")
    monkeypatch.setattr(icechunk.Repository, "create_tag", set_tag)
    before = stored_bytes(place, "chunks")
    export("denoise", place, "icechunk")
    assert stored_bytes(place, "chunks") == before
    same_as(made, opened(place, "v001"), opened(place, "v001")["split_flag"])


def stored_bytes(place, part="."):
    return sum(p.stat().st_size for p in (Path(place) / part).rglob("*") if p.is_file())

"""kill -9 while a dataset is built: the version is whole or absent, and the same command ends with the same one."""

import multiprocessing
import os

import pytest

from storage.dataset import stored_splits, version, versions
from storage.dataset_files import damaged, read_manifest
from storage.dataset_samples import Sample
from storage.query import table
from tests.dataset.building import build_and_die
from tests.faults.scenario import Death

DEATHS = [
    Death("made", call=3),  # some arrays are there, none is written
    Death("written", "before", 3),  # a shard is stored, its row is not
    Death("written", call=9),
    Death("sealed"),
    Death("moved"),  # arrays are public, no row says so
    Death("released"),
    Death("committed", "before"),
    Death("committed"),
]


@pytest.fixture
def dies(home):
    """Build in a process of its own until it dies."""
    given = {name: value for name, value in os.environ.items() if name.startswith("NIGHTLOOM_")}

    def run(death):
        process = multiprocessing.get_context("spawn").Process(target=build_and_die, args=(given, death))
        process.start()
        process.join(200)
        assert process.exitcode == 9

    return run


def shards(name):
    files = read_manifest(version(name).folder)["files"]
    return {file: checksum for file, checksum in files.items() if file.startswith("data.zarr")}


@pytest.mark.parametrize("death", DEATHS, ids=lambda d: f"{d.when}-{d.point}-{d.call}")
def test_a_death_at_any_moment(scene, build, dies, death):
    for i in range(4):
        scene(i)
    dies(death)
    published = (death.point, death.when) == ("committed", "after")
    assert bool(versions("denoise")) == bool(stored_splits("denoise")) == published
    again = build()
    assert [v.number for v in versions("denoise")] == [1]
    assert damaged(version("denoise").folder) == []
    assert len(table(Sample, "dataset = 'denoise'", order=Sample.id, limit=1000)) == version("denoise").live
    calm = build(name="calm")
    assert (again.metrics, shards("denoise")) == (calm.metrics, shards("calm"))


def test_a_version_that_grew_is_whole_or_the_old_one_stands(scene, build, dies):
    for i in range(3):
        scene(i)
    build()
    first = version("denoise")
    scene(3)
    dies(Death("moved", call=2))
    assert [v.version_id for v in versions("denoise")] == [first.version_id]
    assert damaged(first.folder) == []
    build()
    assert [v.number for v in versions("denoise")] == [1, 2]
    assert damaged(first.folder) == damaged(version("denoise").folder) == []

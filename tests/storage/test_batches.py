"""Schedules: every rank sees its share once, and seed, epoch and step determine a batch."""

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

from storage.batches import MultiGrid, Schedule
from storage.reader import ShardReader


@given(
    n=st.integers(1, 200),
    batch=st.integers(1, 50),
    world=st.integers(1, 5),
    seed=st.integers(0, 9),
    epoch=st.integers(0, 3),
)
def test_ranks_share_an_epoch_without_overlap(n, batch, world, seed, epoch):
    seen, steps = [], set()
    for rank in range(world):
        schedule = Schedule(n, batch, seed=seed, rank=rank, world=world)
        steps.add(schedule.steps)
        seen += [i for step in range(schedule.steps) for i in schedule.step(epoch, step)[0]]
    assert len(steps) == 1
    assert len(set(seen)) == len(seen) == n - n % world


def test_epochs_and_seeds_differ_and_repeat():
    def order(seed, epoch):
        schedule = Schedule(100, 10, seed=seed)
        return np.concatenate([schedule.step(epoch, s)[0] for s in range(schedule.steps)]).tolist()

    assert order(1, 2) == order(1, 2)
    assert order(1, 2) != order(1, 3) != order(2, 3)
    assert sorted(order(1, 2)) == list(range(100))


def test_a_split_is_a_row_of_record_numbers():
    train = np.array([3, 5, 8, 13])
    schedule = Schedule(train, 3)
    assert sorted(np.concatenate([schedule.step(0, s)[0] for s in range(2)])) == train.tolist()
    assert Schedule(train, 3, shuffle=False).step(0, 0)[0].tolist() == [3, 5, 8]


def test_an_epoch_goes_on_where_it_stopped(tmp_path):
    group = zarr.create_group(str(tmp_path / "d.zarr"))
    group.create_array("image", shape=(20, 2), chunks=(1, 2), shards=(8, 2), dtype="f4", compressors=None)[...] = (
        np.arange(40).reshape(20, 2)
    )
    reader, schedule = ShardReader(tmp_path / "d.zarr"), Schedule(20, 6)
    whole = [b["image"] for b in reader.batches(schedule, epoch=1)]
    rest = [b["image"] for b in reader.batches(schedule, epoch=1, start=2)]
    assert len(whole) == 4
    assert len(rest) == 2
    for a, b in zip(whole[2:], rest, strict=True):
        np.testing.assert_array_equal(a, b)


def test_multigrid_keeps_crop_times_batch(tmp_path):
    data = np.random.default_rng(0).standard_normal((64, 8, 8)).astype(np.float32)
    group = zarr.create_group(str(tmp_path / "d.zarr"))
    names = ("record", "y", "x")
    group.create_array(
        "image",
        shape=data.shape,
        chunks=(1, 8, 8),
        shards=(16, 8, 8),
        dtype="f4",
        compressors=None,
        dimension_names=names,
    )[...] = data
    group.create_array(
        "label", shape=(64,), chunks=(1,), shards=(16,), dtype="i4", compressors=None, dimension_names=("record",)
    )[...] = np.arange(64)
    grid = MultiGrid((8, 8), ((8, 8), (4, 4), (4, 8)))
    reader, schedule = ShardReader(tmp_path / "d.zarr"), Schedule(64, 4, multigrid=grid)
    batches = list(reader.batches(schedule))
    assert [b["image"].shape for b in batches[:4]] == [(4, 8, 8), (16, 4, 4), (8, 4, 8), (4, 8, 8)]
    assert sorted(np.concatenate([b["label"] for b in batches])) == list(range(64))
    step_1, crop = schedule.step(0, 1)
    np.testing.assert_array_equal(batches[1]["image"], data[step_1][:, crop["y"], crop["x"]])


def test_impossible_schedules_are_refused():
    with pytest.raises(ValueError, match="rank 2 below world 2"):
        Schedule(10, 4, rank=2, world=2)
    with pytest.raises(ValueError, match="does not fit"):
        MultiGrid((8, 8), ((9, 8),))

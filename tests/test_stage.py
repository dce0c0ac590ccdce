"""Stages do every tile once, again when that may help, in pieces when memory runs out, and name those that cannot be done."""

import logging
import os
import signal
import time
from types import SimpleNamespace

import numpy as np
import pytest

from storage.errors import StoreError, TilesFailedError
from storage.layout import Layout, variable
from storage.product import create
from storage.turns import aside
from tasks.array.tiling import tiles
from tasks.attempts import MAX_PIECES, TRIES, Attempt, TileLostError, cut, fitting
from tasks.executors import Here, OnCluster
from tasks.progress import Progress
from tasks.stage import run_stage

PLAN = tiles((8, 8), (4, 4))


@pytest.fixture
def square(tmp_path):
    return create(str(tmp_path / "s.zarr"), Layout("square", {"cube": variable(("y", "x"), (8, 8), "f8", (4, 4))}))


def write(tile, product):
    product.write(tile.core, np.ones([s.stop - s.start for s in tile.core]) * (1 + tile.index[0]))
    return {"index": list(tile.index)}


def test_records_come_in_the_order_of_the_plan(square):
    report = run_stage(write, PLAN, square)
    assert [tuple(r["index"]) for r in report.records] == [t.index for t in PLAN]
    assert (report.name, report.reused, report.retried, report.split) == ("write", 0, 0, 0)


def test_a_record_is_what_the_ledger_would_give_back():
    def step(tile):
        return {"a": np.float32(1.5), "b": np.arange(2), "c": (1, 2), "d": float("nan")}

    (record, *_) = run_stage(step, PLAN).records
    assert {k: record[k] for k in "abc"} == {"a": 1.5, "b": [0, 1], "c": [1, 2]}
    assert np.isnan(record["d"])


def area(tile):
    return float(np.prod([s.stop - s.start for s in tile.read]))


@pytest.mark.parametrize(("room", "pieces"), [(16, 1), (15, 2), (8, 2), (4, 4), (1, 16), (0.5, 16)])
def test_a_tile_too_large_for_the_memory_is_cut_from_the_start(monkeypatch, square, room, pieces):
    monkeypatch.setattr(Here, "tile_memory", room)
    report = run_stage(write, PLAN, square, footprint=area)
    assert len(report.records) == pieces * len(PLAN)
    assert (report.retried, report.split) == (0, 0)
    np.testing.assert_array_equal(square.read()[:, 0], [1] * 4 + [2] * 4)
    assert len(run_stage(write, PLAN, square, footprint=area, splits=False).records) == len(PLAN)


def test_a_tile_is_not_cut_where_its_halo_needs_the_memory():
    (tile, *_) = tiles((400, 400), (8, 8), 100)
    assert fitting(tile, area, room=100.0) == 1


def test_memory_is_that_of_the_smallest_worker_where_it_computes():
    workers = {
        "a": {"nthreads": 2, "resources": {"GPU": 2}, "memory_limit": 16e9, "metrics": {"memory": 1e9}},
        "b": {"nthreads": 2, "resources": {"GPU": 2}, "memory_limit": 64e9, "gpu": {"memory-total": 10e9}},
    }
    client = SimpleNamespace(scheduler_info=lambda n_workers: {"workers": workers}, status="running")
    assert OnCluster(client, print).tile_memory == pytest.approx(0.8 * 0.7 * 10e9 / 2)
    del workers["b"]
    assert OnCluster(client, print).tile_memory == pytest.approx(0.8 * 15e9 / 2)
    workers["a"] |= {"resources": {}, "nthreads": 4, "metrics": {"memory": 15e9}}
    assert OnCluster(client, print).tile_memory == pytest.approx(0.8 * 4e9 / 4)


def test_a_record_that_cannot_be_stored_is_named():
    with pytest.raises(TilesFailedError, match="returned a set in its record"):
        run_stage(lambda tile: {1, 2}, PLAN, name="sets")


def test_what_may_pass_is_tried_again():
    tries = []

    def flaky(tile):
        tries.append(tile.index)
        if tries.count(tile.index) < TRIES:
            raise ConnectionError("the network blinked")

    report = run_stage(flaky, PLAN)
    assert report.retried == len(PLAN) * (TRIES - 1)
    assert len(tries) == len(PLAN) * TRIES


@pytest.mark.parametrize("error", [ValueError("bad"), TypeError("bad"), StoreError("bad")])
def test_what_lasts_is_not(error):
    tries = []

    def bad(tile):
        tries.append(tile.index)
        raise error

    with pytest.raises(TilesFailedError):
        run_stage(bad, PLAN)
    assert len(tries) == len(PLAN)


def test_a_poisonous_tile_is_named_after_all_others_were_done(square):
    def poisoned(tile, product):
        if tile.index == (0, 1):
            raise RuntimeError("poison")
        return write(tile, product)

    with pytest.raises(
        TilesFailedError, match=r"poisoned: 1 of 4 tiles failed for good \(0-1\); the first said: poison"
    ):
        run_stage(poisoned, PLAN, square)
    assert square.read()[4:].all()
    assert not square.read()[:4, 4:].any()


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("[2] Call to cuMemAlloc results in CUDA_ERROR_OUT_OF_MEMORY")]
)
def test_out_of_memory_gives_smaller_pieces_and_the_same_values(square, error):
    sizes = []

    def hungry(tile, product):
        values = np.fromfunction(
            lambda y, x: (y + tile.core[0].start) * 8 + x + tile.core[1].start, [s.stop - s.start for s in tile.core]
        )
        sizes.append(values.size)
        if values.size > 4:
            raise error
        product.write(tile.core, values)
        return values.size

    report = run_stage(hungry, PLAN, square)
    np.testing.assert_array_equal(square.read(), np.arange(64.0).reshape(8, 8))
    assert report.records == [4] * 16
    assert report.split == 8  # each of four tiles was cut twice
    assert report.retried == 0


def test_a_tile_that_never_fits_ends_in_one_sentence():
    with pytest.raises(TilesFailedError, match="4 of 4 tiles"):
        run_stage(_always_hungry, PLAN, splits=True)
    with pytest.raises(TilesFailedError):
        run_stage(_always_hungry, PLAN, splits=False)


def _always_hungry(tile):
    raise MemoryError("16 GB were asked for")


def test_a_tile_that_kills_workers_gets_smaller_and_is_given_up():
    killed = type("KilledWorker", (Exception,), {})("died")
    attempt, seen = Attempt(PLAN[0]), []
    while attempt:
        seen.append((attempt.number, attempt.pieces))
        attempt = attempt.after(killed, splits=True, lasting=())
    assert seen == [(1, 1), (2, 1), (3, 4), (4, 16)]


def test_pieces_have_an_end():
    attempt, seen = Attempt(PLAN[0]), []
    while attempt:
        seen.append(attempt.pieces)
        attempt = attempt.after(MemoryError(), splits=True, lasting=())
    assert max(seen) == MAX_PIECES
    assert len(seen) <= MAX_PIECES.bit_length() + TRIES
    assert len(cut(PLAN[0], 64)) == 16


def test_a_tile_lost_with_its_scheduler_is_sent_again_without_blame():
    attempt = Attempt(PLAN[0], number=TRIES)
    assert attempt.after(TileLostError("gone"), splits=True, lasting=()) == attempt
    assert attempt.after(ConnectionError("other"), splits=True, lasting=()) is None


def test_an_empty_plan_is_a_stage_too():
    report = run_stage(write, [])
    assert report.records == []
    assert report.waited is None


def test_a_report_says_how_long_the_device_waited():
    def step(tile):
        with aside():
            time.sleep(0.03)
        time.sleep(0.01)
        return 0

    assert 0.5 < run_stage(step, PLAN).waited < 0.95


def test_a_worker_whose_memory_is_half_full_gets_one_tile_at_a_time():
    worker = {"nthreads": 2, "resources": {"GPU": 2}, "memory_limit": 1000}
    client = SimpleNamespace(status="running", scheduler_info=lambda n_workers: {"workers": {"a": worker, "b": worker}})
    executor = OnCluster(client, run_stage)
    executor.weigh(500)
    assert (executor.demand, executor.devices) == ({"GPU": 1}, 2)
    executor.weigh(501)
    assert executor.demand == {"GPU": 2}
    worker["resources"] = {}
    executor._measure()
    assert executor.demand is None


def test_an_interruption_goes_through():
    def stop(tile):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_stage(stop, PLAN)


def test_a_request_to_end_interrupts_a_recorded_run(home):
    from storage.runs import recorded
    from tests.storage.flowlike import TinyParams

    with pytest.raises(KeyboardInterrupt), recorded("tiny", TinyParams()):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(1)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_progress_is_told_in_lines_and_percent(caplog, monkeypatch):
    monkeypatch.setattr("tasks.progress.LOG_SECONDS", 0)
    heard = []
    with (
        caplog.at_level(logging.INFO, "nightloom"),
        Progress("restore", total=4, done=2, listener=heard.append) as progress,
    ):
        progress.advance(2_000_000)
        progress.advance(2_000_000)
    assert heard == [75.0, 100.0, 100.0]
    assert "restore: 3 of 4 tiles" in caplog.text
    assert "(2 were done before)" in caplog.text


def test_a_deaf_listener_stops_nothing(monkeypatch):
    """The Prefect server may be away: `_artifact` swallows that."""
    import prefect.context

    from tasks.stage import _artifact

    monkeypatch.setattr(prefect.context.FlowRunContext, "get", classmethod(lambda cls: object()))
    monkeypatch.setattr("prefect.artifacts.create_progress_artifact", lambda *a, **k: 1 / 0)
    _artifact("my_stage")(50.0)

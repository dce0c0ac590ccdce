"""The ledger: rows written together when results pile up, read page by page, replaced when a tile is repeated."""

import pytest

from storage import ledger as module
from storage.ledger import Journal, Ledger, TileDone
from storage.writes import ShardWrite
from tasks.array.tiling import tiles
from tasks.stage import run_stage


def done(name, record=0.0):
    return TileDone(name, record, [ShardWrite("memory://x.zarr", f"c/{name}", "d", 1, 1, 1)], 1.0, 2)


class Counting(Ledger):
    """Notes how many rows came with each transaction."""

    def add(self, stage, *done):
        self.sizes.append(len(done))

    sizes: list


@pytest.fixture
def counting():
    found = Counting("k", 0, "r")
    object.__setattr__(found, "sizes", [])
    return found


@pytest.fixture
def ledger(database_url, monkeypatch):
    from storage.database import session
    from tests.storage.test_database import run_row

    monkeypatch.setattr(module, "_intact", lambda *_: True)
    monkeypatch.setattr(module, "exists", lambda _: False)
    with session() as s:
        s.add(run_row(id="r"))
    return Ledger("k", 0, "r")


def test_every_row_comes_back_whatever_the_pages(ledger, monkeypatch):
    monkeypatch.setattr(module, "PAGE", 3)
    monkeypatch.setattr(module, "ROWS", 2)
    names = [f"{i}-{i % 3}" for i in range(11)]
    ledger.add("fill", *map(done, names))
    ledger.add("other", done("0-0"))
    assert sorted(d.tile for d in ledger.done("fill")) == sorted(names)
    assert len(list(ledger.writes("memory://x.zarr"))) == 12
    assert list(ledger.writes("memory://y.zarr")) == []


def test_a_repeated_tile_replaces_its_row(ledger):
    ledger.add("fill", done("0", 1.0), done("1", 1.0))
    ledger.add("fill", done("1", float("nan")), done("2", 2.0))
    found = {d.tile: d.record for d in ledger.done("fill")}
    assert found["0"] == 1.0
    assert found["1"] != found["1"]
    assert found["2"] == 2.0


def test_a_tile_is_written_at_once_unless_another_has_finished_too(counting, monkeypatch):
    monkeypatch.setattr(module, "SECONDS", 1e9)
    journal = Journal(counting, "fill")
    for more in (False, True, True, False):
        journal.add(done("x"), more=more)
    journal.flush()
    assert counting.sizes == [1, 3]


def test_no_row_waits_for_long(counting, monkeypatch):
    monkeypatch.setattr(module, "SECONDS", 0)
    journal = Journal(counting, "fill")
    journal.add(done("x"), more=True)
    assert counting.sizes == [1]


def test_what_waits_is_written_when_the_stage_is_interrupted(home, monkeypatch):
    from benchmarks.scale import AtOnce, answer
    from storage.parameters import Parameters
    from storage.runs import recorded

    taken = []

    class Stopped(AtOnce):
        def next(self):
            if len(taken) == 40:
                raise KeyboardInterrupt
            taken.append(super().next())
            return taken[-1]

    monkeypatch.setattr("tasks.stage._executor", Stopped)
    monkeypatch.setattr(module, "_intact", lambda *_: True)
    with pytest.raises(KeyboardInterrupt), recorded("tiny", Parameters(), deduplicate=False) as run:
        run_stage(answer, tiles((90,), (1,)), name="fill")
    assert {d.tile for d in run.ledger.done("fill")} == {d.tile for _, d in taken}


def test_a_driver_keeps_little_of_each_tile(home, monkeypatch):
    """A million tiles must fit into a gigabyte: plan, names and records together stay below 0.8 kB a tile."""
    import tracemalloc

    from benchmarks.scale import AtOnce, answer
    from storage.parameters import Parameters
    from storage.runs import recorded

    def peak(n):
        tracemalloc.start()
        run_stage(answer, tiles((n, 5), (1, 5)), name=f"fill {n}")
        try:
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    monkeypatch.setattr("tasks.stage._executor", AtOnce)
    monkeypatch.setattr(module, "SECONDS", 0.05)
    with recorded("tiny", Parameters(), deduplicate=False):
        run_stage(answer, tiles((10, 5), (1, 5)), name="warm")
        small, large = peak(1000), peak(9000)
    assert (large - small) / 8000 < 800

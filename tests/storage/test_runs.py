"""A run is recorded truly, published whole or not at all, done once, and taken up where a dead one stopped."""

from pathlib import Path

import numpy as np
import pytest
import xarray
from sqlalchemy import func, select

from storage import lease, query
from storage.areas import Area
from storage.database import session
from storage.errors import DatabaseError, LeaseLostError, StoreError, TilesFailedError
from storage.product import Product
from storage.publish import verify
from storage.runs import active, completed_run, recorded
from storage.tables import Input, Lease, Metric, ProductRow, Run, TileRow
from tests.storage.flowlike import TinyParams, fill, layout, tiny


def rows(table):
    with session() as s:
        return s.scalars(select(table)).all()


def test_a_completed_run_leaves_its_record_and_nothing_else(database_url, home):
    summary = tiny(TinyParams())
    (run,) = rows(Run)
    assert (run.id, run.status, run.seed, run.error) == (summary.run, "completed", 3, None)
    assert run.started <= run.ended
    assert {p.kind for p in summary.products} == {"square", "report"}
    assert rows(Lease) == rows(TileRow) == []
    assert not list(Path(home / "store").glob(".staging/*/*"))
    assert active() is None
    product = summary.first("square")
    assert product.uri.endswith(".zarr")
    assert verify(product.uri) == []
    opened = xarray.open_zarr(product.uri)
    assert opened.attrs["run"] == run.id
    assert opened.attrs["parameters"]["n"] == 4
    np.testing.assert_array_equal(opened.cube[5, :3], [5000, 5001, 5002])


def test_metrics_are_numbers_with_units_and_positions(database_url):
    tiny(TinyParams())
    found = {(m.key, m.position): (m.value, m.unit) for m in rows(Metric)}
    assert found == {
        ("mean_db", -1): (pytest.approx(7.0, abs=1), "dB"),
        ("series", 0): (1.0, None),
        ("series", 2): (3.0, None),
    }


def test_the_same_work_is_done_once(database_url, home):
    first = tiny(TinyParams())
    before = stored(home)
    again = tiny(TinyParams())
    assert again == first
    assert stored(home) == before
    assert len(rows(Run)) == 1
    assert completed_run("tiny", TinyParams()) == first


@pytest.mark.parametrize("other", [{"n": 3}, {"seed": 4}, {"name": "other"}])
def test_other_parameters_are_other_work(home, other):
    first, second = tiny(TinyParams()), tiny(TinyParams(**other))
    assert first.run != second.run
    assert first.first("square").uri != second.first("square").uri


def test_force_makes_new_products_beside_the_old_ones(home):
    first, forced = tiny(TinyParams()), tiny(TinyParams(force=True))
    assert first.first("square").uri != forced.first("square").uri
    assert content(first.first("square").uri) == content(forced.first("square").uri)
    assert verify(first.first("square").uri) == []
    assert tiny(TinyParams()).run == forced.run


def test_a_deleted_product_is_made_again(home):
    from storage.sweep import delete_product

    first = tiny(TinyParams())
    delete_product(next(r for r in rows(ProductRow) if r.kind == "square"))
    assert completed_run("tiny", TinyParams()) is None
    again = tiny(TinyParams())
    assert again.run != first.run
    assert verify(again.first("square").uri) == []


def test_the_input_s_content_decides_not_its_name(home, tmp_path):
    one, two = tmp_path / "one.bin", tmp_path / "two.bin"
    one.write_bytes(b"same")
    two.write_bytes(b"same")
    first = tiny(TinyParams(source=str(one)))
    assert tiny(TinyParams(source=str(two))).run == first.run
    two.write_bytes(b"else")
    assert tiny(TinyParams(source=str(two))).run != first.run
    assert sorted(i.bytes for i in rows(Input)) == [4, 4]


def test_a_run_that_may_repeat_itself_does(home):
    assert tiny(TinyParams(), deduplicate=False).run != tiny(TinyParams(), deduplicate=False).run


def test_a_failed_run_publishes_nothing_and_keeps_its_tiles(database_url, home):
    with pytest.raises(TilesFailedError, match=r"1 of 16 tiles failed for good \(2-1\)"):
        tiny(TinyParams(), step=fail_at_2_1)
    (run,) = rows(Run)
    assert run.status == "failed"
    assert "2-1" in run.error
    assert query.products() == []
    assert not list(Path(home / "store").glob("tiny/*/*"))
    assert len(rows(TileRow)) == 16  # 15 of the square, 1 of the scratch array
    assert rows(Lease) == []


def test_a_run_after_a_failed_one_does_only_what_is_missing(database_url, home):
    with pytest.raises(TilesFailedError):
        tiny(TinyParams(), step=fail_at_2_1)
    done = []

    def counting(tile, product):
        done.append(tile.index)
        return fill(tile, product)

    counting.__name__ = "fail_at_2_1"
    summary = tiny(TinyParams(), step=counting)
    assert done == [(2, 1)]
    assert summary.reused == 15
    undisturbed = tiny(TinyParams(force=True))
    assert content(summary.first("square").uri) == content(undisturbed.first("square").uri)
    assert summary.metrics == undisturbed.metrics


@pytest.mark.parametrize("damage", ["remove", "truncate", "flip"])
def test_a_tile_whose_shard_was_damaged_is_done_again(home, damage):
    with pytest.raises(TilesFailedError):
        tiny(TinyParams(), step=fail_at_2_1)
    shard = next(Path(home / "store").glob(".staging/tiny/*/square.zarr/cube/c/1/1"))
    spoil(shard, damage)
    done = []

    def counting(tile, product):
        done.append(tile.index)
        return fill(tile, product)

    counting.__name__ = "fail_at_2_1"
    summary = tiny(TinyParams(), step=counting)
    assert done == [(1, 1), (2, 1)]
    assert verify(summary.first("square").uri) == []


def test_a_cancelled_run_says_so(database_url, home):
    def interrupt(tile, product):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tiny(TinyParams(), step=interrupt)
    (run,) = rows(Run)
    assert (run.status, run.error) == ("cancelled", "KeyboardInterrupt")
    assert rows(Lease) == []
    assert active() is None


def test_a_crash_between_rename_and_rows_loses_nothing(home, monkeypatch):
    """The arrays already bear their public name, but no reader learns it; the next run takes them back and publishes."""
    monkeypatch.setattr("storage.runs.RecordedRun._commit_completed", crash)
    with pytest.raises(SystemExit):
        tiny(TinyParams())
    public = list(Path(home / "store").glob("tiny/*/square.zarr"))
    assert len(public) == 1
    assert query.products() == []
    monkeypatch.undo()
    use(monkeypatch, home)
    before = content(str(public[0]))
    summary = tiny(TinyParams())
    assert summary.reused == 0 or summary.reused == 16
    assert content(summary.first("square").uri) == before
    assert verify(summary.first("square").uri) == []


def test_trouble_after_publication_does_not_undo_it(home, monkeypatch):
    def refuse(*_):
        raise StoreError("the disk is gone")

    monkeypatch.setattr(Area, "discard", refuse)
    summary = tiny(TinyParams())
    assert rows(Run)[0].status == summary.status == "completed"
    assert len(query.products()) == 2


def test_a_commit_whose_answer_was_lost_is_not_repeated(database_url, monkeypatch):
    """The connection broke after the commit: the second try finds the work done."""
    from storage.errors import DatabaseBusyError
    from storage.runs import RecordedRun

    commit, calls = RecordedRun._commit_completed, []

    def twice(self):
        commit(self)
        calls.append(1)
        if len(calls) == 1:
            raise DatabaseBusyError("the server closed the connection")

    monkeypatch.setattr(RecordedRun, "_commit_completed", twice)
    assert tiny(TinyParams()).status == "completed"
    assert len(calls) == 2
    assert len(rows(Metric)) == 3


def test_a_run_that_lost_its_lease_publishes_nothing(database_url, home):
    """A machine that slept finds that another one took over: its result would be a second one."""
    with pytest.raises(LeaseLostError, match="took over its work"), recorded("tiny", TinyParams()) as run:
        square = run.create("square", layout(1))
        square.write((slice(0, 3), slice(0, 4)), np.ones((3, 4)))
        run.publish(square)
        with session() as s:
            s.scalars(select(Lease)).one().run_id = "another"
            lease.close_interrupted(s, run.id)
    assert rows(Run)[0].status == "interrupted"
    assert query.products() == []
    assert rows(Lease)[0].run_id == "another"


def test_an_unwritten_shard_is_not_published(home):
    with pytest.raises(Exception, match="shards of 'cube' are missing"), recorded("tiny", TinyParams()) as run:
        run.publish(run.create("square", layout(2)))
    assert rows(Run)[0].status == "failed"


def test_lineage_joins_what_was_made_from_what(database_url):
    first = tiny(TinyParams())
    second = tiny(TinyParams(source=first.first("square").uri))
    third = tiny(TinyParams(source=second.first("square").id, n=3))
    a, b, c = (s.first("square").id for s in (first, second, third))
    edges = query.lineage(b)
    assert (a, b) in edges
    assert (b, c) in edges
    assert query.run(second.run)["made_from"][0]["id"] == a


def test_a_run_knows_the_run_around_it(home):
    with recorded("outer", TinyParams(), deduplicate=False) as outer:
        inner = tiny(TinyParams())
        outer.include(inner)
        outer.include(inner)
    by_flow = {r.flow: r for r in rows(Run)}
    assert by_flow["tiny"].parent_id == by_flow["outer"].id
    assert outer.summary.products == inner.products


def test_a_record_may_hold_what_json_cannot(database_url):
    def nan(tile, product):
        return {**fill(tile, product), "worst": float("inf"), "none": np.float32("nan"), "array": np.arange(2)}

    summary = tiny(TinyParams(n=1), step=nan)
    with session() as s:
        assert s.scalar(select(func.count(Metric.id))) == 3
        assert s.scalars(select(Run)).one().summary["nothing"] is None
    assert summary.status == "completed"


def test_a_database_that_is_gone_at_the_end_does_not_hide_the_first_error(home, monkeypatch):
    def gone(*_args, **_kw):
        raise DatabaseError("the database is gone")

    with pytest.raises(ZeroDivisionError), recorded("tiny", TinyParams()):
        monkeypatch.setattr("storage.runs.session", gone)
        raise ZeroDivisionError
    monkeypatch.undo()


def test_products_of_an_older_state_are_not_taken_for_new_ones(home):
    """A staged array of another layout is made anew instead of being taken up."""
    area = Area(str(home / "store"), "tiny", "0" * 32, 0)
    first = area.product("square", layout(2))
    first.write((slice(0, 4), slice(0, 4)), np.ones((4, 4)))
    assert area.product("square", layout(2)).read().any()
    assert area.product("square", layout(3)).shape == (11, 12)
    assert not area.product("square", layout(2)).read().any()


def fail_at_2_1(tile, product):
    if tile.index == (2, 1):
        raise ValueError("a poisoned tile")
    return fill(tile, product)


def crash(*_):
    raise SystemExit


def spoil(path: Path, damage: str) -> None:
    data = path.read_bytes()
    if damage == "remove":
        path.unlink()
    else:
        path.write_bytes(
            data[:-1] if damage == "truncate" else bytes([data[0]]) + bytes([data[-1] ^ 1]).join([data[1:-1], b""])
        )


def stored(home: Path) -> dict:
    return {p: p.stat().st_mtime_ns for p in Path(home / "store").rglob("*") if p.is_file()}


def content(uri: str) -> dict[str, bytes]:
    """The bytes of every shard; metadata names the run and differs."""
    return {
        str(p.relative_to(uri)): p.read_bytes() for p in Path(uri).rglob("*") if p.is_file() and p.suffix != ".json"
    }


def use(monkeypatch, home: Path) -> None:
    monkeypatch.setenv("NIGHTLOOM_HOME", str(home))
    monkeypatch.setenv("NIGHTLOOM_STORE", str(home / "store"))
    monkeypatch.setenv("NIGHTLOOM_DATABASE_URL", f"sqlite:///{home / 'nightloom.db'}")


def test_the_address_of_a_product_is_all_a_reader_needs(home):
    uri = tiny(TinyParams()).first("square").uri
    assert Product(uri).grid == (4, 4)
    assert Product(uri).group_attrs["kind"] == "square"

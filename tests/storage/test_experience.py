"""Plans are made from past runs: near where those agree, and they say how far off they were; memory that ran out is remembered."""

import numpy as np
import pytest

from storage import experience
from storage.database import now, session
from storage.experience import expectation, remembered_pieces
from storage.identity import devices
from storage.tables import Input, Run, Stage
from tests.storage.flowlike import TinyParams, fill, tiny


def past(run_id, n_bytes, *, n=4, rate=1e-6, fixed=5.0, machine=None, reused=0, tile_shape=(4, 4)):
    """A completed run that took ``fixed`` seconds and ``rate`` seconds per byte."""
    shared = {"status": "completed", "started": now()}
    stage = Stage(
        name="fill", tiles=9, reused=reused, seconds=rate * n_bytes, tile_seconds=rate * n_bytes / 9, peak_bytes=1000,
        tile_shape=list(tile_shape), **shared,
    )  # fmt: skip
    row = Run(
        id=run_id, flow="tiny", key=run_id, generation=0, params=TinyParams(n=n).model_dump(), dirty=False, code_version="0",
        host="h", devices=machine or devices(), trigger="command", seconds=fixed + rate * n_bytes, **shared,
        inputs=[Input(role="source", uri="x", digest="d", bytes=n_bytes)], stages=[stage],
    )  # fmt: skip
    with session() as s:
        s.add(row)


def planned(tmp_path, n_bytes, **given):
    path = tmp_path / "input.bin"
    path.write_bytes(bytes(n_bytes))
    return expectation("tiny", TinyParams(source=str(path), **given))


def test_without_a_past_nothing_is_claimed(home, tmp_path):
    found = planned(tmp_path, 1000)
    assert found["expected_seconds"] is None
    assert "not known yet" in found["note"]


def test_time_is_a_fixed_part_and_one_that_grows_with_the_input(database_url, tmp_path):
    for i, size in enumerate((10**6, 3 * 10**6, 7 * 10**6)):
        past(f"r{i}", size)
    found = planned(tmp_path, 2 * 10**6)
    assert found["expected_seconds"] == pytest.approx(5 + 2)
    assert found["error"] == 0
    assert found["peak_worker_bytes"] == 1000


def test_the_error_is_that_of_predicting_each_run_from_the_others(home, tmp_path):
    past("a", 10**6, fixed=0.0, rate=1e-6)
    past("b", 10**6, fixed=0.0, rate=2e-6)
    found = planned(tmp_path, 10**6)
    assert found["error"] == pytest.approx((1.0 + 0.5) / 2)
    assert found["steps"][0]["error"] == pytest.approx((1.0 + 0.5) / 2)
    (alone,) = [planned(tmp_path, 10**6, n=5)]
    assert alone["past_runs"] == 2  # nothing nearer, so the same two


def test_the_runs_most_like_it_count_and_no_others(home, tmp_path):
    past("mine", 10**6, n=8, rate=9e-6)
    past("other", 10**6, n=4)
    past("elsewhere", 10**6, n=8, machine=["another machine"])
    past("resumed", 10**6, n=8, reused=3, rate=0.0)
    found = planned(tmp_path, 10**6, n=8)
    assert (found["past_runs"], found["expected_seconds"], found["error"]) == (1, 14.0, None)


def test_a_real_run_tells_what_its_tiles_cost(home):
    tiny(TinyParams())
    (found,) = [step for step in expectation("tiny", TinyParams())["steps"] if step["step"] == "fill"]
    assert found["tile_shape"] == [4, 4]
    assert found["tile_seconds"] > 0
    assert found["pieces"] == 1


def test_what_did_not_fit_whole_is_not_tried_whole_again(home, monkeypatch):
    sizes = []

    def hungry(tile, product):
        sizes.append(int(np.prod([s.stop - s.start for s in tile.core])))
        if sizes[-1] > 4:
            raise MemoryError
        return fill(tile, product)

    tiny(TinyParams(), step=hungry)
    assert remembered_pieces("tiny", "hungry", [4, 4]) == 4
    assert remembered_pieces("tiny", "hungry", [8, 8]) == remembered_pieces("other", "hungry", [4, 4]) == 1
    sizes.clear()
    again = tiny(TinyParams(force=True), step=hungry)
    assert max(sizes) == 4
    assert again.metrics["mean_db"] == tiny(TinyParams()).metrics["mean_db"]
    monkeypatch.setattr(experience, "devices", lambda: ["another machine"])
    assert remembered_pieces("tiny", "hungry", [4, 4]) == 1

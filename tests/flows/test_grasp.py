"""The grasp flow, from a file to products, a row and a picture."""

from pathlib import Path

import numpy as np

from flows.grasp import GraspParams, accepts, grasp, sample
from storage import query
from storage.grasp import GraspSummary
from storage.product import Product


def test_a_file_becomes_judged_grasps(home, prefect_server, tmp_path):
    lines = sample(tmp_path)
    path = tmp_path / "sample_box.npz"
    assert len(lines) == 3 and accepts(path)

    summary = grasp(GraspParams(source=str(path), n=6, batch=4, judge=2))

    assert summary.status == "completed"
    assert [p.kind for p in summary.products] == ["object", "grasps", "picture"]
    grasps = Product(summary.first("grasps").uri)
    assert grasps["qpos"].shape == (6, 3, 23) and grasps["judged"].read().sum() == 2
    assert (
        summary.metrics["judged"] == 2 and 0 <= summary.metrics["success_low"] <= summary.metrics["success_high"] <= 1
    )
    assert np.isfinite(Product(summary.first("object").uri)["sdf"].read()).all()
    (row,) = query.table(GraspSummary)
    assert row["object"] == "sample_box" and row["judged"] == 2

    from tasks.grasp import load_hand, load_object, synthesize

    same = synthesize(load_hand("allegro"), load_object(path), n=6)
    assert np.array_equal(grasps["qpos"].read(), same.qpos)  # batches and workers change nothing


def test_objects_of_a_night_are_grown_together_and_come_out_as_if_alone(home, prefect_server, tmp_path):
    from flows.nightly import NightlyParams, nightly
    from tasks.grasp import load_hand, load_object, synthesize

    inbox = tmp_path / "inbox"
    inbox.mkdir()
    sample(inbox)
    (inbox / "sample_bracket.npz").unlink()
    (inbox / "open.obj").write_text("v 0 0 0\nv 0.1 0 0\nv 0 0.1 0\nf 1 2 3\n")

    summary = nightly(NightlyParams(inbox=str(inbox), only=["grasp"]))

    assert [Path(q["path"]).name for q in summary.quarantined] == ["open.obj"]
    assert [run["stages"][0]["name"] for run in stages_of("grasp")] == ["take_batch"] * 2
    made = [Product(p.uri) for p in summary.products if p.kind == "grasps"]
    for name, grasps in zip(("sample_box", "sample_cylinder"), made, strict=True):
        alone = synthesize(load_hand("allegro"), load_object(inbox / f"{name}.npz"), n=128)
        assert np.array_equal(grasps["qpos"].read(), alone.qpos), name
        assert np.array_equal(grasps["tries"].read(), alone.tries)
        assert grasps["judged"].read().sum() == 32

    again = nightly(NightlyParams(inbox=str(inbox), only=["grasp"]))
    assert len(stages_of("nightly")[-1]["stages"]) == 0  # what is known is not grown again
    assert [p.uri for p in again.products if p.kind == "grasps"] == [p.uri for p in made]


def stages_of(flow):
    rows = [row for row in query.runs() if row["flow"] == flow and row["status"] == "completed"]
    return [query.run(row["run"]) for row in sorted(rows, key=lambda row: row["started"])]

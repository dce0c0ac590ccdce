"""The grasp flow, from a file to products, a row and a picture."""

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

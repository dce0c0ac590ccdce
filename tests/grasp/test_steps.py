"""The stages on stored products: repeated or resumed they leave the same bytes, and what they leave can be exported."""

from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from flows.grasp import GraspParams, sample
from storage import grasp as layouts
from storage.runs import recorded
from tasks.grasp import load_hand, load_object, steps, synthesize
from tasks.grasp.together import steps as together
from tests.grasp.shapes import box

VERDICTS = ("judged", "success", "penetration", "self_penetration", "contact_number", "contact_distance", "q1", "qp")


@pytest.fixture
def params(home, tmp_path):
    sample(tmp_path)
    return GraspParams(source=str(tmp_path / "sample_box.npz"), n=8, batch=4, judge=2, seed=1)


def stages(run, params):
    """What the flow does, without Prefect."""
    hand, thing = load_hand(params.hand), load_object(params.source)
    stored = run.create("object", layouts.object_(thing))
    made = layouts.grasps(
        params.n, hand.joint_names, hand.contact_bodies, params.batch, hand=hand.name, object=thing.name
    )
    grasps = run.create("grasps", made)
    steps.keep_object.fn(thing, stored)
    grown = steps.grow_all.fn([stored], grasps, params.hand, params.seed, params.test)
    chosen = steps.evenly(params.n, params.judge)
    judged = steps.judge_all.fn(stored, grasps, params.hand, chosen, params.test, params.torques)
    return stored, grasps, grown, judged


def files(uri):
    return {p.relative_to(uri): p.read_bytes() for p in Path(uri).rglob("*") if p.is_file()}


def chunks(uri):
    return {name: data for name, data in files(uri).items() if "c" in name.parts}


def test_more_grasps_begin_with_the_first_ones():
    hand, thing = load_hand("allegro"), box((0.05, 0.05, 0.08))
    eight, sixteen = (synthesize(hand, thing, n=n, seed=3) for n in (8, 16))
    for name in (f.name for f in fields(eight)):
        assert getattr(sixteen, name)[:8].tobytes() == getattr(eight, name).tobytes(), name


def test_a_killed_run_resumed_leaves_the_bytes_of_an_unbroken_one(params, monkeypatch):
    grow, calls = steps.grow, []

    def dies(*args):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return grow(*args)

    monkeypatch.setattr(steps, "grow", dies)
    with pytest.raises(KeyboardInterrupt), recorded("grasp", params) as run:
        stages(run, params)
    monkeypatch.setattr(steps, "grow", grow)
    with recorded("grasp", params) as run:
        stored, grasps, grown, judged = stages(run, params)
        assert (grown.reused, judged.reused) == (1, 0)
        resumed = chunks(grasps.uri)
        unbroken = synthesize(load_hand(params.hand), load_object(params.source), n=params.n, seed=params.seed)
        for name in ("qpos", "contact", "normal", "force", "leftover", "gap", "demerit", "tries"):
            assert grasps[name].read().tobytes() == getattr(unbroken, name).tobytes(), name
        for tile in steps.tiles(grasps.shape[:1], grasps.grid[:1]):  # repeated steps change nothing
            steps.grow_batch(tile, [stored], grasps, params.hand, params.n, params.seed, params.test == "lift")
            flags = steps.evenly(params.n, params.judge)
            steps.judge_batch(tile, stored, grasps, params.hand, flags, params.test, params.torques)
        assert resumed and chunks(grasps.uri) == resumed


def test_objects_that_share_batches_get_the_grasps_they_get_alone(params, tmp_path):
    """Batches of nine over objects of six: one begins in the middle of an object and ends in another."""
    names = ("sample_box", "sample_cylinder", "sample_bracket")
    things = {name: load_object(tmp_path / f"{name}.npz") for name in names}
    hand = load_hand("allegro")
    made = layouts.grasps(6, hand.joint_names, hand.contact_bodies, 4)
    with recorded("night", params, deduplicate=False) as night:
        found = together.grow_together(night.create, things, "allegro", 6, 1, "floating", workers=2)
        for name, thing in things.items():
            with recorded("grasp", params, deduplicate=False) as run:
                grasps = run.create("grasps", made)
                together.take_all.fn(found[name], grasps)
                alone = synthesize(hand, thing, n=6, seed=1)
                for part in steps.GROWN:
                    assert grasps[part].read().tobytes() == getattr(alone, part).tobytes(), (name, part)


def published(params):
    with recorded("grasp", params) as run:
        stored, grasps, *_ = stages(run, params)
        run.publish(stored)
        return run.publish(grasps)


def exported(product, target, *options):
    from deployments.cli import app

    answer = CliRunner().invoke(app, ["grasps", "export", product, str(target), *options])
    assert answer.exit_code == 0, answer.output
    assert answer.output.startswith(f"8 grasps written to {target}")


def test_grasps_are_exported_by_the_command_line(params, tmp_path):
    product = published(params)
    truth = synthesize(load_hand("allegro"), load_object(params.source), n=8, seed=1)

    exported(product, tmp_path / "grasps.parquet")
    table = pd.read_parquet(tmp_path / "grasps.parquet")
    assert len(table) == 8 and table["judged"].sum() == 2
    assert {*VERDICTS, "tries"} <= set(table.columns)
    names = ["x", "y", "z", "qw", "qx", "qy", "qz", *load_hand("allegro").joint_names]
    for k, stage in enumerate(layouts.STAGES):
        assert np.array_equal(table[[f"{stage}.{name}" for name in names]].to_numpy(), truth.qpos[:, k])

    exported(product, tmp_path / "bench", "--layout", "dexgraspbench")
    entries = [np.load(p, allow_pickle=True).item() for p in sorted((tmp_path / "bench").glob("*.npy"))]
    assert len(entries) == 8
    for entry, poses in zip(entries, truth.qpos, strict=True):
        keys = ("pregrasp_qpos", "grasp_qpos", "squeeze_qpos")
        assert np.array_equal([entry[key] for key in keys], poses)
        assert entry["joint_names"] == names[7:] and entry["object"] == "sample_box"
        assert np.array_equal(entry["obj_pose"], [0, 0, 0, 1, 0, 0, 0]) and np.array_equal(
            entry["obj_scale"], np.ones(3)
        )


def test_what_cannot_be_exported_is_named(params, tmp_path):
    from storage.errors import BadInputError

    product = published(params)
    with pytest.raises(BadInputError, match="expected parquet or dexgraspbench"):
        layouts.export(product, tmp_path / "x", "csv")
    with pytest.raises(BadInputError, match="is no product of kind grasps"):
        layouts.export("no-such", tmp_path / "x")

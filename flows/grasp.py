"""Synthesise grasps of an object for a robot hand, and let MuJoCo judge them."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from prefect import flow
from pydantic import Field

from flows._cluster import cluster
from storage.errors import NightloomError
from storage.parameters import Parameters
from storage.runs import active, asked_key, completed_run, recorded
from storage.summary import RunSummary

log = logging.getLogger("nightloom")


class GraspParams(Parameters):
    """Which object, which hand, how many grasps, how they are judged."""

    source: str = Field(description="mesh (OBJ, STL, PLY, GLB, or NPZ with convex pieces), or an object product")
    hand: str = Field(
        "allegro", description="allegro, leap, shadow, or the path of an MJCF with its contact sites beside it (.yaml)"
    )
    n: int = Field(
        128, ge=1, le=1_000_000, description="number of grasps; more extend the set, the first stay the same"
    )
    seed: int = Field(0, ge=0, description="same seed, same grasps")
    scale: float = Field(1.0, gt=0, description="metres per unit of the mesh: 0.001 for millimetres")
    judge: int = Field(32, ge=0, description="how many of them to simulate, evenly spread; 0: none")
    test: Literal["floating", "lift"] = Field(
        "floating", description="floating: pushed by 1 N in six directions; lift: raised 10 cm from a table"
    )
    torques: bool = Field(False, description="in the floating test also twist by 0.02 N m in six directions")
    batch: int = Field(64, ge=1, le=65536, description="grasps grown at a time; larger on a GPU, no other effect")

    def inputs(self) -> dict[str, list[str]]:
        """The object, and the hand's files where they are a person's own."""
        if not self.hand.endswith(".xml"):
            return {"source": [self.source]}
        from tasks.grasp.files import model_files

        model = Path(self.hand)
        parts = [str(p) for p in model_files(model) if p != model]
        return {"source": [self.source], "hand": [self.hand, str(model.with_suffix(".yaml")), *parts]}


def accepts(path: Path) -> bool:
    """Whether ``path`` is a mesh, or NPZ with convex pieces."""
    from tasks.grasp.files import is_object

    return is_object(path)


def describe(path: Path) -> dict[str, Any]:
    """What a mesh or a person's own hand (MJCF with its contact sites beside it) is, for `nightloom doctor FILE`."""
    from tasks.grasp import look

    if accepts(path):
        return look.describe_object(path)
    if path.is_file() and path.suffix.lower() == ".xml" and b"<mujoco" in path.read_bytes()[:100_000]:
        return look.describe_hand(path)
    return {}


def sample(folder: Path) -> list[str]:
    """Three objects made by formula: a box, a cylinder, an L-bracket of two pieces."""
    from tasks.grasp.shapes import write_samples

    return write_samples(folder)


@contextmanager
def together(sources: list[str]) -> Iterator[None]:
    """Grow the grasps of several objects in shared batches, in the active run; their own runs inside judge and publish them."""
    from tasks.grasp.together.steps import known

    with known(_grown(sources)):
        yield


def _grown(sources: list[str]) -> dict[str, Any]:
    from tasks.grasp.together.steps import grow_together

    asked = [GraspParams.model_validate({"source": source}) for source in sources]
    asked = [params for params in asked if not completed_run("grasp", params)]
    night, things = active(), _read(asked) if len(asked) > 1 else {}
    if night is None or len(things) < 2:
        return {}
    log.info("grasp: %d objects are grown together", len(things))
    shared = asked[0]  # only their sources differ
    try:
        with cluster() as client:
            workers = len(client.nthreads())
            return grow_together(night.create, things, shared.hand, shared.n, shared.seed, shared.test, workers)
    except NightloomError as error:
        log.warning("the objects are grown one by one: %s", error)
        return {}


def _read(asked: list[GraspParams]) -> dict[str, Any]:
    """The objects that can be read, under the keys of their runs; the run of another says what is wrong with it."""
    from tasks.grasp.ahead import compiling
    from tasks.grasp.object import load_object

    log.info("grasp: reading %d objects; to cut a mesh into convex pieces may take a minute", len(asked))
    things = {}
    with compiling():
        for params in asked:
            with suppress(Exception):
                key = asked_key("grasp", params)  # a file that changes from here on has another
                things[key] = load_object(params.source, scale=params.scale)
    return things


@flow(name="grasp")
def grasp(params: GraspParams) -> RunSummary:
    """Synthesise and judge grasps of one object; publish the object, the grasps and a contact sheet."""
    with recorded("grasp", params) as run:
        if run.repeated:
            return run.summary
        from storage import grasp as layouts
        from storage.digest import digest_json
        from tasks.grasp import steps
        from tasks.grasp.ahead import compiling
        from tasks.grasp.hand import load_hand
        from tasks.grasp.object import load_object
        from tasks.grasp.together.steps import grown, take_all

        hand, source, ahead = load_hand(params.hand), run.inputs["source"], grown(run.key)
        with compiling():
            if ahead:
                thing = ahead.thing
            elif source.product_id:
                thing = steps.read_object(run.use("source"))
            else:
                thing = load_object(source.uri, scale=params.scale)
        stored = run.create("object", layouts.object_(thing))
        about = {"hand": hand.name, "object": thing.name, "seed": params.seed, "test": params.test}
        about["joint_limits"] = hand.tables.joints.stops.tolist()
        grasps = run.create(
            "grasps", layouts.grasps(params.n, hand.joint_names, hand.contact_bodies, params.batch, **about)
        )
        with cluster():
            steps.keep_object(thing, stored)
            if ahead:
                take_all(ahead, grasps)
            else:
                steps.grow_all([stored], grasps, params.hand, params.seed, params.test)
            steps.judge_all(
                stored, grasps, params.hand, steps.evenly(params.n, params.judge), params.test, params.torques
            )
        figures = steps.summarise(grasps)
        run.record(**{k: v for k, v in figures.items() if v is not None})
        run.report(object=thing.name, hand=hand.name, repairs=list(thing.report))
        if not source.product_id:
            run.publish(stored)
        product = run.publish(grasps)
        row = layouts.GraspSummary(
            id=digest_json([product, hand.name])[:16],
            run_id=run.id,
            product_id=product,
            hand=hand.name,
            object=thing.name,
            test=params.test,
            **figures,
        )
        run.add_rows(row)
        run.save("grasps.png", steps.sheet(hand, thing, grasps), kind="picture")
    return run.summary

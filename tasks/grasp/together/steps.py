"""The stages of growing the grasps of several objects together, and of handing each run its own."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from prefect import task

from storage import grasp as layouts
from storage.digest import digest_json
from storage.product import Product
from tasks.array.tiling import Tile, tiles
from tasks.grasp import steps
from tasks.grasp.hand import load_hand
from tasks.grasp.object import Object
from tasks.stage import StageReport, run_stage


@dataclass(frozen=True)
class Grown:
    """An object, and from which row on its grasps stand in a set that several objects share."""

    thing: Object
    grasps: Product
    start: int


_grown: ContextVar[Mapping[str, Grown] | None] = ContextVar("grown", default=None)


def grown(key: str) -> Grown | None:
    """What was grown ahead for the run of this key."""
    return (_grown.get() or {}).get(key)


@contextmanager
def known(found: Mapping[str, Grown]) -> Iterator[None]:
    """Runs inside the block find these grasps instead of growing them."""
    token = _grown.set(found)
    try:
        yield
    finally:
        _grown.reset(token)


def grow_together(
    create: Callable[..., Product], things: Mapping[str, Object], hand: str, n: int, seed: int, test: str, workers: int
) -> dict[str, Grown]:
    """Grow ``n`` grasps of each object, in one batch for each worker, so that one hard object keeps no device waiting.

    ``things`` has each object under the key of its run; ``create`` makes scratch products of the active run. The grasps
    are byte for byte those that each object gets alone.
    """
    mark, target, total = digest_json(sorted(things))[:8], load_hand(hand), n * len(things)
    stored = []
    for i, thing in enumerate(things.values()):
        stored.append(create(f"object_{mark}_{i}", layouts.object_(thing)))
        steps.keep_object(thing, stored[-1])
    made = layouts.grasps(total, target.joint_names, target.contact_bodies, -(-total // workers))
    grasps = create(f"grasps_{mark}", made)
    steps.grow_all(stored, grasps, hand, seed, test, f"_{mark}")
    return {key: Grown(thing, grasps, i * n) for i, (key, thing) in enumerate(things.items())}


@task
def take_all(ahead: Grown, grasps: Product) -> StageReport:
    """Fill ``grasps`` with what was grown ahead."""
    plan = tiles(grasps.shape[:1], grasps.grid[:1])
    return run_stage(take_batch, plan, ahead.grasps, ahead.start, grasps)


def take_batch(tile: Tile, shared: Product, start: int, grasps: Product) -> int:
    """Copy the grasps of one batch from the shared set."""
    (rows,) = tile.core
    for name in steps.GROWN:
        rest = [slice(0, size) for size in grasps[name].shape[1:]]
        values = shared[name].read((slice(start + rows.start, start + rows.stop), *rest))
        grasps[name].write((rows, *rest), values)
    return rows.stop - rows.start

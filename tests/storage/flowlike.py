"""A run as small as can be: a product of a few tiles, made through the ledger, as flows do it."""

import numpy as np

from storage.layout import Layout, variable
from storage.parameters import Parameters
from storage.runs import recorded
from storage.summary import RunSummary
from tasks.array.tiling import tiles
from tasks.stage import run_stage


class TinyParams(Parameters):
    """Parameters of the tiny run."""

    source: str = ""
    n: int = 4
    seed: int = 3
    name: str = "tiny"


def layout(n: int = 4) -> Layout:
    """A (y, x) square of n by n tiles of 4 by 4."""
    return Layout("square", {"cube": variable(("y", "x"), (4 * n - 1, 4 * n), "f8", (4, 4))})


def fill(tile, product):
    """Every value says where it stands."""
    y, x = np.mgrid[tile.core]
    product.write(tile.core, (1000.0 * y + x).astype("f8"))
    return {"index": list(tile.index), "mean": float(y.mean())}


def tiny(params: TinyParams, step=fill, **options) -> RunSummary:
    """Fill one square, publish it; keep a scratch array and a text beside it."""
    with recorded("tiny", params, **options) as run:
        if run.repeated:
            return run.summary
        square = run.create("square", layout(params.n))
        scratch = run.create("scratch", layout(1))
        run_stage(fill, tiles(scratch.shape, scratch.grid), scratch, name="scratch")
        report = run_stage(step, tiles(square.shape, square.grid), square)
        run.record(mean_db=float(np.mean([r["mean"] for r in report.records])), series=np.array([1.0, np.nan, 3.0]))
        run.report(reused=report.reused, nothing=float("nan"))
        run.save("note.txt", b"done", kind="report")
        run.publish(square)
    return run.summary

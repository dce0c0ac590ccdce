"""What orchestration costs: stages of sleeping tiles on the local cluster, and ledger rows per second.

    python benchmarks/engine.py [--tiles 60] [--rows 10000]

Overhead is wall time beyond (tiles × seconds / workers), cluster start excluded.
"""

import argparse
import os
import tempfile
import time

from benchmarks._figures import figure


def nap(tile, seconds):
    """A tile that computes nothing for a while."""
    time.sleep(seconds)
    return 0.0


def overhead(n_tiles: int, seconds: float) -> dict:
    from flows._cluster import cluster
    from storage.parameters import Parameters
    from storage.runs import recorded
    from tasks.array.tiling import tiles
    from tasks.stage import run_stage

    with recorded("benchmark", Parameters(), deduplicate=False), cluster() as client:
        workers = len(client.nthreads())
        run_stage(nap, tiles((workers,), (1,)), 0.0, name="warm")
        start = time.perf_counter()
        run_stage(nap, tiles((n_tiles,), (1,)), seconds)
        wall = time.perf_counter() - start
    ideal = seconds * -(-n_tiles // workers)
    over = wall / ideal - 1 if ideal else float("inf")
    return {"tiles": n_tiles, "tile_s": seconds, "workers": workers, "wall_s": wall, "overhead": over}


def ledger_rate(n_rows: int) -> float:
    """Ledger rows per second, one short transaction each, as the driver writes them."""
    from storage.ledger import Ledger, TileDone
    from storage.parameters import Parameters
    from storage.runs import recorded

    with recorded("benchmark", Parameters(), deduplicate=False) as run:
        ledger = Ledger(run.key, 0, run.id)
        start = time.perf_counter()
        for i in range(n_rows):
            ledger.add("rows", TileDone(str(i), 0.0, (), 0.1, 0))
        return n_rows / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiles", type=int, default=60)
    parser.add_argument("--rows", type=int, default=10_000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["NIGHTLOOM_HOME"] = home
        for seconds in (1.0, 0.1):
            row = overhead(args.tiles, seconds)
            print(
                "{tiles} tiles of {tile_s} s on {workers} workers: {wall_s:.2f} s, overhead {overhead:.1%}".format(
                    **row
                )
            )
            figure(f"overhead on tiles of {seconds} s", 100 * row["overhead"], "%", better="less")
        rate = 20 * args.tiles / overhead(20 * args.tiles, 0.0)["wall_s"]
        print(f"tiles of no length through scheduler, workers and ledger: {rate:.0f} tiles/s")
        figure("tiles of no length through scheduler, workers and ledger", rate, "tiles/s")
        rate = ledger_rate(args.rows)
        print(f"ledger on SQLite: {rate:.0f} rows/s over {args.rows} rows")
        figure("ledger on SQLite", rate, "rows/s", bar=300)
        if url := os.environ.get("NIGHTLOOM_TEST_POSTGRES_URL"):
            os.environ["NIGHTLOOM_DATABASE_URL"] = url
            print(f"ledger on PostgreSQL: {ledger_rate(args.rows):.0f} rows/s over {args.rows} rows")


if __name__ == "__main__":
    main()

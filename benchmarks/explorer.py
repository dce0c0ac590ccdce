"""Pages of the explorer over a long history: 100,000 runs and a million candidates, on SQLite and on PostgreSQL.

    python -m benchmarks.explorer [--runs 100000] [--candidates 1000000]

Every page is asked for in this process, five times; the table shows medians of what the server needed. PostgreSQL is
measured in a database of its own where one answers (NIGHTLOOM_TEST_POSTGRES_URL, or the default local port).
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import numpy as np

from benchmarks._figures import figure

LIMIT = 300.0
"""What a page may take [ms]."""
BATCH = 20_000
REPEATS = 5
BEGIN = datetime(2024, 1, 1, tzinfo=UTC)


def main() -> None:
    """Fill, ask, print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--candidates", type=int, default=1_000_000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["NIGHTLOOM_HOME"] = home
        measure("SQLite", args.runs, args.candidates)
        server = os.environ.get("NIGHTLOOM_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/postgres")
        name = f"nightloom_bench_{uuid4().hex[:8]}"
        if not administer(server, f'create database "{name}"'):
            print("PostgreSQL does not answer; not measured")
            return
        try:
            os.environ["NIGHTLOOM_DATABASE_URL"] = f"{server.rpartition('/')[0]}/{name}"
            measure("PostgreSQL", args.runs, args.candidates)
        finally:
            from storage.database import dispose_engines

            dispose_engines()
            administer(server, f'drop database if exists "{name}" with (force)')


def administer(server: str, statement: str) -> bool:
    """Whether a PostgreSQL server answers, and did this."""
    import psycopg

    try:
        with psycopg.connect(server.replace("+psycopg", ""), autocommit=True, connect_timeout=3) as connection:
            connection.execute(statement)
    except psycopg.OperationalError:
        return False
    return True


def measure(where: str, n_run: int, n_candidate: int) -> None:
    """All pages over one database."""
    from fastapi.testclient import TestClient

    from deployments.explorer.app import create_app

    start = time.perf_counter()
    fill(n_run, n_candidate)
    print(f"{where}: {n_run} runs, {n_candidate} candidates, filled in {time.perf_counter() - start:.0f} s", flush=True)
    web = TestClient(create_app())
    slowest = 0.0
    for path in pages(n_run):
        web.get(path)
        seconds = []
        for _ in range(REPEATS):
            start = time.perf_counter()
            answer = web.get(path)
            seconds.append(time.perf_counter() - start)
            assert answer.status_code == 200, (path, answer.text[:300])
        took = 1e3 * statistics.median(seconds)
        slowest = max(slowest, took)
        print(f"  {took:7.1f} ms  {path}{'   TOO SLOW' if took > LIMIT else ''}", flush=True)
    figure(f"slowest page, {where}", slowest, "ms", bar=LIMIT, better="less")


def pages(n_run: int) -> Iterator[str]:
    """Every page, with the filters and orders that a person would choose."""
    run = f"{n_run // 2:016x}"
    yield "/"
    for query in (
        "", "?page=1000", "?flow=search", "?status=failed", "?where=metric.gain_db > 39.9", "?where=params.tile = 17",
        "?where=started > '2024-03-01' and status = 'completed'", "?where=product.kind = 'clean_cube' and metric.gain_db < 1",
    ):  # fmt: skip
        yield f"/runs{query}"
    yield f"/runs/{run}"
    yield f"/compare?run={run}&run={n_run // 3:016x}"
    for query in ("", "?page=1000", "?kind=picture", "?where=bytes > 1999000", "?where=name like 'quick%'"):
        yield f"/products{query}"
    yield f"/products/{run}"
    for query in (
        "",
        "?page=1000",
        "?where=snr > 8 and dm > 900",
        "?label=accept",
        "?label=none",
        "?where=known_source = 'PSR 50'",
    ):
        yield f"/tables/candidates{query}"
    for column in ("snr", "dm", "width_s", "mjd", "time_s", "ra_deg", "false_alarm_probability"):
        yield f"/tables/candidates?sort={column}"
        yield f"/tables/candidates?sort=-{column}&where=snr < 9"
    yield "/coverage"
    yield "/tables/exposures"
    yield "/datasets"
    yield "/api/runs?size=500"
    yield "/runs.csv?size=1000"


def fill(n_run: int, n_candidate: int) -> None:
    """A history made up: runs with metrics and two products each, candidates of all searches, some labels."""
    from sqlalchemy import insert, text

    from storage.database import engine
    from storage.labels import Label
    from storage.search import Candidate, Exposure
    from storage.tables import Lineage, Metric, ProductRow, Run

    engine()
    with engine().begin() as connection:
        for batch in batches(n_run, runs):
            rows, metrics, products, lineage, exposures = zip(*batch, strict=True)
            connection.execute(insert(Run), list(rows))
            connection.execute(insert(Metric), list(metrics))
            connection.execute(insert(ProductRow), [p for pair in products for p in pair])
            connection.execute(insert(Lineage), list(lineage))
            connection.execute(insert(Exposure), [e for e in exposures if e])
        rng = np.random.default_rng(0)
        for batch in batches(n_candidate, lambda i: candidate(i, n_run, rng)):
            connection.execute(insert(Candidate), batch)
        decided = {"listing": "candidates", "verdict": "accept", "who": "ada", "decided": BEGIN}
        connection.execute(
            insert(Label), [decided | {"row_id": f"{37 * i:016x}"} for i in range(min(10_000, n_candidate // 40))]
        )
    with engine().begin() as connection:
        connection.execute(text("analyze"))


def batches(n: int, make) -> Iterator[list]:
    """Rows 0 to ``n`` in lists that fit in memory."""
    for start in range(0, n, BATCH):
        yield [make(i) for i in range(start, min(start + BATCH, n))]


def runs(i: int) -> tuple:
    """Run number ``i``, its metric, its products, their lineage, and its exposure where it searched."""
    flow = ("denoise", "search", "ingest", "grasp")[i % 4]
    id_, picture, started = f"{i:016x}", f"{(1 << 40) + i:016x}", BEGIN + timedelta(minutes=5 * i)
    run = {
        "id": id_, "flow": flow, "key": f"{i:032x}", "generation": 0, "status": "failed" if i % 97 == 0 else "completed",
        "params": {"tile": i % 512, "source": f"scene_{i}.hdr"}, "dirty": False, "code_version": "0", "host": "host", "devices": [],
        "trigger": "schedule", "started": started, "ended": started, "seconds": 60.0,
        "summary": {"metrics": {"gain_db": float(i % 400) / 10}},
    }  # fmt: skip
    metric = {"run_id": id_, "key": "gain_db", "position": -1, "value": float(i % 400) / 10}
    common = {
        "run_id": id_,
        "digest": f"{i:032x}",
        "attrs": {},
        "published": started,
        "shape": None,
        "dims": None,
        "dtype": None,
    }
    cube = common | {
        "id": id_,
        "position": 0,
        "name": "clean_cube",
        "kind": "clean_cube",
        "uri": f"/store/{i}",
        "bytes": 20 * (i % 100_000),
    }
    shown = common | {
        "id": picture,
        "position": 1,
        "name": "quicklook.png",
        "kind": "picture",
        "uri": f"/store/{i}.png",
        "bytes": 1000,
    }
    exposure = {
        "id": id_, "run_id": id_, "product_id": id_, "seconds": 3600.0, "n_pixel": 90_000, "area_deg2": 2.0, "ra_deg": i % 360,
        "dec_deg": i % 120 - 30, "mjd": 60_000 + i / 288, "threshold": 7.0, "dm_max": 3000.0, "width_max_s": 160.0, "dt_s": 0.134,
        "noise": 1.0, "units": "Jy", "n_channel": 16, "flagged_fraction": 0.01, "n_candidate": 10, "simulated": False,
    }  # fmt: skip
    return run, metric, (cube, shown), {"parent_id": id_, "child_id": picture}, exposure if flow == "search" else None


def candidate(i: int, n_run: int, rng: np.random.Generator) -> dict:
    """Candidate number ``i``."""
    snr = 7 + rng.exponential(0.7)
    run = f"{4 * rng.integers(n_run // 4) + 1:016x}"
    return {
        "id": f"{i:016x}", "run_id": run, "product_id": run, "number": i % 10, "snr": snr, "trial_snr": snr,
        "false_alarm_probability": float(np.exp(-(snr**2) / 2)), "time_s": 3600 * rng.random(), "mjd": 60_000 + i / 2880,
        "ref_freq_mhz": 1400.0, "dm": 3000 * rng.random(), "width_s": 0.134 * 2 ** rng.integers(10), "y": 300 * rng.random(),
        "x": 300 * rng.random(), "ra_deg": 360 * rng.random(), "dec_deg": 90 * rng.random(), "members": 5, "known_source": f"PSR {i % 500}" if i % 50 == 0 else None,
        "separation_arcsec": None, "simulated": False, "cutouts": None,
    }  # fmt: skip


if __name__ == "__main__":
    main()

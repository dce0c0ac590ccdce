"""The driver alone at a million tiles: the real stage and ledger, and an executor that answers at once.

    python -m benchmarks.scale [--tiles 1000000]

Each tile answers with the record and the shard that a denoising tile leaves. Every tenth of the way the rate and the
driver's memory are printed, so that growth shows; then the same run is taken up again, as after a kill.
"""

import argparse
import os
import resource
import tempfile
import time

from benchmarks._figures import figure


class AtOnce:
    """An executor whose workers cost nothing: what is left is what the driver costs."""

    busy, has_room, ready, devices, tile_memory = False, True, True, 1, float("inf")

    def __init__(self, step, args):
        self.waiting = []

    def submit(self, attempt):
        self.waiting.append(attempt)
        self.busy, self.has_room = True, len(self.waiting) < 3

    def next(self):
        attempt = self.waiting.pop()
        self.busy, self.has_room = bool(self.waiting), True
        return attempt, answer(attempt.tile)

    def weigh(self, peak_bytes):
        """Workers without end."""

    def close(self):
        """Nothing runs."""


def answer(tile):
    """What a worker would send home."""
    from storage.ledger import TileDone
    from storage.writes import ShardWrite
    from tasks.stage import label

    name = label(tile)
    shard = ShardWrite(
        "memory://store/run/clean_cube.zarr",
        f"cube/c/{name.replace('-', '/')}/0",
        f"{hash(name):032x}"[-32:],
        1 << 24,
        1 << 22,
        1 << 22,
    )
    return TileDone(name, {"noise": 0.25, "outliers": 3}, (shard,), 1.0, 1 << 30)


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiles", type=int, default=1_000_000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["NIGHTLOOM_HOME"] = home
        simulate(args.tiles)


def simulate(n_tiles: int) -> None:
    from storage import ledger
    from storage.parameters import Parameters
    from storage.runs import recorded
    from tasks import stage
    from tasks.array.tiling import tiles
    from tasks.progress import Progress

    stage._executor = AtOnce
    advance, counted = Progress.advance, [0, time.perf_counter()]

    def tell(self, n_bytes):
        advance(self, n_bytes)
        counted[0] += 1
        if counted[0] % (n_tiles // 10) == 0:
            now = time.perf_counter()
            print(
                f"{counted[0]:9d} tiles {n_tiles / 10 / (now - counted[1]):8.0f} tiles/s {peak_mb():8.0f} MB",
                flush=True,
            )
            counted[1] = now

    Progress.advance = tell
    ledger._intact = lambda *_: True  # the shards were never written; reading them back is the store's cost
    with recorded("benchmark", Parameters(), deduplicate=False):
        plan = tiles((n_tiles // 1000 * 512, 1000 * 512, 200), (512, 512, 200), 0)
        for name in ("first time", "taken up again"):
            started, cpu = time.perf_counter(), time.process_time()
            report = stage.run_stage(answer, plan, name="restore")
            rate, per_cpu = n_tiles / (time.perf_counter() - started), n_tiles / (time.process_time() - cpu)
            assert len(report.records) == n_tiles and report.reused in (0, n_tiles)
            del report
            print(f"{name}: {n_tiles} tiles: {rate:.0f} tiles/s, {per_cpu:.0f} per CPU second, {peak_mb():.0f} MB")
            figure(f"{n_tiles:,} tiles, {name}: driver, ledger and progress", rate, "tiles/s", bar=300)
    figure(f"{n_tiles:,} tiles, driver's peak memory", peak_mb() / 1e3, "GB", bar=1, better="less")


if __name__ == "__main__":
    main()

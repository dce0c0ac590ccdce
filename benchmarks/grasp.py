"""Grasp synthesis and validation: rates per CPU-second, cost of each kernel, yields of the cheap filter.

Run: .venv/bin/python benchmarks/grasp.py [--hand allegro] [-n 128] [--judge 16] [--objects FOLDER]
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks._figures import figure

START = time.process_time(), time.perf_counter()
PEER_RATE = 0.0154
"""Grasps per CPU second of DexGraspNet's optimiser on one thread, batches of 128."""


def first_grasp_seconds(hand: str, path: Path) -> float:
    """Seconds from a command to its first grasp where nothing was ever compiled, imports included."""
    program = "import sys; from tasks.grasp import load_hand, load_object, synthesize\n"
    program += "synthesize(load_hand(sys.argv[1]), load_object(sys.argv[2]), n=1)"
    with tempfile.TemporaryDirectory() as empty:
        environment = os.environ | {"NUMBA_CACHE_DIR": empty, "PYTHONPATH": os.pathsep.join(sys.path)}
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", program, hand, str(path)], env=environment, check=True)
        return time.perf_counter() - start


def timed(function, *args, **kwargs):
    """Result, CPU seconds, wall seconds."""
    cpu, wall = time.process_time(), time.perf_counter()
    result = function(*args, **kwargs)
    return result, time.process_time() - cpu, time.perf_counter() - wall


def main() -> None:
    """Print a table per sample object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hand", default="allegro")
    parser.add_argument("-n", type=int, default=128)
    parser.add_argument("--judge", type=int, default=16)
    parser.add_argument("--objects", type=Path, help="folder of .npz objects in place of the samples")
    args = parser.parse_args()

    from tasks.grasp import load_hand, load_object, synthesize, validate
    from tasks.grasp.shapes import write_samples
    from tasks.grasp.validation import wilson_interval

    hand, folder = load_hand(args.hand), args.objects or Path(tempfile.mkdtemp())
    if args.objects is None:
        write_samples(folder)
    first, held, kept, tries, grown, spent, judged = True, [], [], [], 0, 0.0, 0.0
    print(
        f"{'object':16s} {'grasps/CPU-s':>12s} {'grasps/s':>9s} {'tries':>6s} {'filter':>7s} {'held':>6s} {'95 %':>12s} "
        f"{'filtered':>9s} {'pene mm':>8s} {'self mm':>8s} {'judged/CPU-s':>12s}"
    )
    for path in sorted(folder.glob("*.npz")):
        thing = load_object(path)
        if first:
            synthesize(hand, thing, n=1)
            cpu, wall = time.process_time() - START[0], time.perf_counter() - START[1]
            print(f"first grasp after {wall:.1f} s, {cpu:.1f} CPU-s, imports and what was not compiled yet included")
            first = False
        thing.sdf  # noqa: B018 - once per object, not per grasp
        grasps, cpu, wall = timed(synthesize, hand, thing, n=args.n)
        grown, spent = grown + args.n, spent + cpu
        chosen = np.linspace(0, args.n - 1, args.judge).astype(int)
        verdicts, judging, _ = timed(validate, hand, grasps.qpos[chosen], thing)
        judged += judging
        passed = grasps.converged[chosen]
        low, high = wilson_interval(int(verdicts.success.sum()), len(chosen))
        held, kept, tries = [*held, *verdicts.success], [*kept, *passed], [*tries, *grasps.tries]
        filtered = f"{verdicts.success[passed].mean():.0%}" if passed.any() else "-"
        print(
            f"{thing.name:16s} {args.n / cpu:12.0f} {args.n / wall:9.0f} {grasps.tries.mean():6.2f} {grasps.converged.mean():7.0%} "
            f"{verdicts.success.mean():6.0%} {low:5.0%}-{high:.0%} {filtered:>9s} {1e3 * verdicts.penetration.mean():8.2f} "
            f"{1e3 * verdicts.self_penetration.mean():8.2f} {args.judge / judging:12.1f}",
            flush=True,
        )
    held, kept = np.array(held), np.array(kept)
    rate = grown / spent
    against = {"ratio": rate / PEER_RATE, "peer": "DexGraspNet's optimiser", "same_run": False, "bar": 3000}
    figure(f"{args.hand} grasps, all objects", rate, "grasps/CPU-s", **against)
    figure(f"{args.hand} grasps judged in MuJoCo", len(held) / judged, "grasps/CPU-s", bar=6)
    figure(f"{args.hand} grasps held in MuJoCo", 100 * held.mean(), "%")
    figure(f"{args.hand} grasps held, those that pass the filter", 100 * held[kept].mean(), "%")
    cold = first_grasp_seconds(args.hand, min(folder.glob("*.npz")))
    figure(f"first {args.hand} grasp of a cold start", cold, "s", bar=10, better="less")
    print(f"first grasp of a cold start after {cold:.1f} s")
    print(
        f"all: {held.mean():.1%} of {len(held)} held; behind the filter {held[kept].mean():.1%} of {kept.sum()}, "
        f"which are {kept.mean():.0%} of the grasps and {kept.mean() / np.mean(tries):.0%} of the seeds tried"
    )


if __name__ == "__main__":
    main()

"""Denoising against its yardsticks: quality and CPU seconds of every method on scenes with a known truth.

    python benchmarks/denoise.py [--quick] [--cubes DIR]

One thread. The scenes are those of ``cubes.py`` (default: ../shared/conformance/denoise), else scenes of this
repository's tests. The columns "peer" hold what HyDe 0.4.3 reaches on the same cubes (CPU seconds on one thread);
where PyPI's ``hyde-images`` is installed it runs here, in turn, and its own figures stand there instead.
"""

import argparse
import importlib.util
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks._figures import figure
from tasks.denoise import denoise
from tasks.denoise.quality import psnr, spectral_angle, ssim

HERE = Path(__file__).parents[1]
PEER = {"hyres": 2.0, "hyminor": 17.0, "forpdn": 2.0, "wsrrr": 5.0, "otvca": 0.4, "fasthyde": 15.0}
"""CPU seconds of the peer on 200 x 200 x 191, one thread."""
PEER_BEST = {("gauss", 10): 40.2, ("gauss", 20): 48.5, ("gauss", 30): 59.8, ("noniid", 20): 53.3, ("mixed", 20): 42.5}
TARGET = {("gauss", 10): 42.0, ("gauss", 20): 50.5, ("gauss", 30): 60.0, ("noniid", 20): 54.0, ("mixed", 20): 43.5}
LIMIT = {"hyres": 0.5, "fasthyde": 3.0, "hyminor": 3.0, "wsrrr": 1.0, "forpdn": 0.3}
BAR = {"hyres": 6.0}
"""How many times faster than the peer."""
HYDE = {"hyres": "HyRes", "hyminor": "HyMiNoR", "forpdn": "FORPDN_SURE", "wsrrr": "WSRRR", "fasthyde": "FastHyDe"}


def main() -> None:
    """Measure everything; print tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a quarter of the pixels and bands")
    parser.add_argument("--cubes", type=Path, default=HERE.parent / "shared" / "conformance" / "denoise")
    parser.add_argument("--peak", nargs=2, metavar=("METHOD", "CUBE"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.peak:
        print(peak_of(given.peak[0], np.load(given.peak[1])))
        return
    shape = (100, 100, 96) if given.quick else (200, 200, 191)
    scenes = {key: made(given.cubes, key, shape) for key in TARGET}
    quality_table(scenes)
    cost_table(*scenes["gauss", 20])


def made(folder: Path, key: tuple[str, int], shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Clean and noisy cube of one kind of noise."""
    kind, snr = key
    path = folder / "cubes.py"
    if path.exists():
        spec = importlib.util.spec_from_file_location("cubes", path)
        cubes = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(cubes)
        clean = cubes.synthetic(*shape, p=6, seed=1)[0]
        return clean.astype(np.float32), cubes.add_noise(clean, kind, 7, snr)[0].astype(np.float32)
    from tasks.denoise import simulate
    from tests.denoise.scenes import scene

    clean = scene(*shape, n_end=6, seed=1)
    noisy = (simulate.gaussian if kind == "gauss" else simulate.per_band)(clean, snr, seed=7)[0]
    if kind == "mixed":
        noisy = simulate.dead_lines(simulate.stripes(noisy, 0.03, 0.125)[0], 0.005)[0]
        noisy = simulate.impulses(noisy, 0.01)[0]
    return clean.astype(np.float32), noisy


def quality_table(scenes: dict) -> None:
    """`auto` on every scene."""
    print(
        f"{'noise':12s} {'noisy':>7s} {'auto':>7s} {'SSIM':>6s} {'SAM deg':>8s} {'target':>7s} {'peer best':>9s}  dB; met?"
    )
    for key, (clean, noisy) in scenes.items():
        found = denoise(noisy, "auto")
        reached = psnr(clean, found)
        facts = (
            f"{psnr(clean, noisy):7.2f} {reached:7.2f} {ssim(clean, found):6.3f} {spectral_angle(clean, found):8.3f}"
        )
        verdict = "yes" if reached >= TARGET[key] else "NO"
        print(
            f"{key[0] + ' ' + str(key[1]):12s} {facts} {TARGET[key]:7.1f} {PEER_BEST[key]:9.1f}  {verdict}", flush=True
        )
        peer = f"best of HyDe's methods: {PEER_BEST[key]} dB"
        figure(f"auto, {key[0]} noise at {key[1]} dB", reached, "dB", peer=peer, same_run=False, bar=TARGET[key])


def cost_table(clean: np.ndarray, noisy: np.ndarray) -> None:
    """Every method on Gaussian noise at 20 dB: quality, CPU seconds, memory."""
    print(f"\n{'method':10s} {'dB':>6s} {'CPU s':>6s} {'limit':>6s} {'peer s':>7s} {'ratio':>6s} {'peak/cube':>9s}")
    for method in ("hyres", "hyminor", "forpdn", "wsrrr", "otvca", "rctv", "fasthyde", "l1hymixde", "auto"):
        denoise(noisy[:48, :48], method)
        seconds = []
        for _ in range(3):
            start = time.process_time()
            found = denoise(noisy, method)
            seconds.append(time.process_time() - start)
        best, beside = min(seconds), hyde_seconds(method, noisy)
        peer = beside or PEER.get(method)
        limit = f"{LIMIT[method]:6.1f}" if method in LIMIT else "     –"
        ratio = f"{peer:7.1f} {peer / best:6.1f}" if peer else "      –      –"
        print(
            f"{method:10s} {psnr(clean, found):6.2f} {best:6.2f} {limit} {ratio} {peak_in_child(method, noisy):9.1f}",
            flush=True,
        )
        against = {"ratio": peer / best, "peer": f"HyDe's {method}", "same_run": beside is not None} if peer else {}
        figure(method, best, "CPU s", bar=BAR.get(method), **against)
        figure(f"{method}, quality", psnr(clean, found), "dB")


def hyde_seconds(method: str, noisy: np.ndarray) -> float | None:
    """CPU seconds of the peer's method, if it is installed."""
    if method not in HYDE or importlib.util.find_spec("hyde") is None:
        return None
    import hyde
    import torch

    torch.set_num_threads(1)
    arguments = {"wsrrr": {"rank": 10}, "fasthyde": {"k_subspace": 10}}.get(method, {})
    start = time.process_time()
    getattr(hyde, HYDE[method])()(torch.from_numpy(noisy), **arguments)
    return time.process_time() - start


def peak_in_child(method: str, noisy: np.ndarray) -> float:
    """Peak memory beyond the cube, in cubes, in a process of its own."""
    import tempfile

    with tempfile.NamedTemporaryFile(suffix=".npy") as file:
        np.save(file, noisy)
        file.flush()
        command = [sys.executable, __file__, "--peak", method, file.name]
        run = subprocess.run(command, capture_output=True, text=True, check=True, cwd=HERE)
    return float(run.stdout)


def peak_of(method: str, noisy: np.ndarray) -> float:
    """Growth of the resident size over a call, looked at every 2 ms, after a small one loaded and compiled all code."""
    import threading

    import psutil

    process, seen, done = psutil.Process(), [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.002):
            seen.append(process.memory_info().rss)

    denoise(noisy[:24, :24, :16], method)
    before = process.memory_info().rss
    watcher = threading.Thread(target=watch)
    watcher.start()
    denoise(noisy, method)
    done.set()
    watcher.join()
    return (max(seen) - before) / noisy.nbytes


if __name__ == "__main__":
    with threadpool_limits(1):
        main()

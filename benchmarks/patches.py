"""The patch filter alone: what joint groups, a second round and tiles cost and bring; prints a table of ratios.

Run with ``python -m benchmarks.patches``. One thread; times are CPU seconds, and only their ratios mean anything.
"""

import time

import numpy as np
from scipy.ndimage import gaussian_filter

from benchmarks._figures import figure
from tasks.array.tiling import tiles
from tasks.denoise.patches import HALO, denoise_images
from tasks.denoise.shrinkage import count_magnitudes, halo_for, shrink, solve_thresholds

SIDE, COMPONENTS, TILE = 200, 6, 96


def score_images(seed: int = 1) -> np.ndarray:
    """Principal images of smoothly mixed substances with a few pure fields; the weakest as strong as the noise."""
    rng = np.random.default_rng(seed)
    substances = [gaussian_filter(rng.standard_normal((SIDE, SIDE)), 12, mode="wrap") for _ in range(COMPONENTS + 1)]
    fields = 2 * np.stack([field / field.std() for field in substances])
    for _ in range(12):
        (y, x), kind = rng.integers(0, SIDE - 40, 2), rng.integers(len(fields))
        fields[kind, y : y + rng.integers(12, 40), x : x + rng.integers(12, 40)] += 4
    shares = np.exp(fields - fields.max(0))
    shares = (shares / shares.sum(0)).reshape(len(fields), -1)
    mixed = (
        np.geomspace(30, 1, len(fields))[:, None] * np.linalg.qr(rng.standard_normal((len(fields),) * 2))[0] @ shares
    )
    _, spread, images = np.linalg.svd(mixed - mixed.mean(1, keepdims=True), full_matrices=False)
    images = (spread[:, None] * images)[:COMPONENTS]
    return (images / images[-1].std()).reshape(COMPONENTS, SIDE, SIDE)


def timed(function, *args):
    start = time.process_time()
    found = function(*args)
    return found, time.process_time() - start


def wavelets(noisy):
    """HyRes' filter of the same images."""
    (tile,) = tiles((SIDE, SIDE), (SIDE, SIDE), halo_for((SIDE, SIDE), False))
    scores = np.ascontiguousarray(noisy.transpose(1, 2, 0))
    plan = solve_thresholds(count_magnitudes(scores, tile, False), np.full(COMPONENTS, 100.0), COMPONENTS)
    return shrink(scores, tile, False, plan).transpose(2, 0, 1)


def one_by_one(noisy):
    return np.concatenate([denoise_images(image[None], np.ones(1)) for image in noisy])


def by_tiles(noisy):
    out = np.empty_like(noisy)
    for tile in tiles((SIDE, SIDE), (TILE, TILE), HALO):
        part = denoise_images(noisy[(slice(None), *tile.read)], np.ones(len(noisy)), None, tile)
        out[(slice(None), *tile.core)] = part[(slice(None), *tile.trim)]
    return out


def jointly(noisy):
    return denoise_images(noisy, np.ones(len(noisy)))


def main() -> None:
    clean = score_images()
    noisy = (clean + np.random.default_rng(2).standard_normal(clean.shape)).astype(np.float32)
    ways = {"jointly": jointly, "one by one": one_by_one, f"jointly, {TILE} px tiles": by_tiles, "wavelets": wavelets}
    for way in ways.values():
        way(noisy)  # compiled code warm
    whole, seconds = timed(jointly, noisy)
    print(
        f"{COMPONENTS} images of {SIDE} x {SIDE}; {len(clean) * SIDE**2 / seconds / 1e6:.2f} million values per CPU second"
    )
    print(f"{'way':24s} {'error [noise]':>14s} {'time ratio':>11s} {'largest difference':>19s}")
    for name, way in ways.items():
        found, took = timed(way, noisy)
        error = np.sqrt(np.mean((found - clean) ** 2))
        figure(f"{name}, error left", error, "noise σ", better="less")
        tiled = {"ratio": took / seconds, "peer": "one tile", "better": "less"} if "tiles" in name else {}
        figure(f"{name}, time", took, "CPU s", **tiled)
        print(f"{name:24s} {error:14.4f} {took / seconds:11.2f} {np.abs(found - whole).max():19.2e}")


if __name__ == "__main__":
    main()

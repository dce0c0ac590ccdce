"""The numbers a run records about a scene and its result."""

from typing import Any

import numpy as np

from tasks.denoise.scene import SceneModel


def residual_sums(before: np.ndarray, after: np.ndarray, valid: np.ndarray) -> dict[str, list[float]]:
    """Per band: number, sum, sum of squares of what was removed, and of products of horizontal neighbours.

    Line by line: a tile's worth of float64 temporaries took five times as long as denoising the tile.
    """
    sums = {name: np.zeros(before.shape[2]) for name in ("total", "square", "lag")}
    for noisy, clean, marks in zip(before, after, valid, strict=True):
        kept = np.where(marks, noisy - clean, np.float32(0)).astype(np.float64)
        sums["total"] += kept.sum(0)
        sums["square"] += np.einsum("xb,xb->b", kept, kept)
        sums["lag"] += np.einsum("xb,xb->b", kept[1:], kept[:-1])
    return {"count": valid.sum((0, 1)).tolist(), **{name: found.tolist() for name, found in sums.items()}}


def tally(records: list[dict[str, int]], shape: tuple[int, ...]) -> dict[str, float]:
    """Fractions of samples, columns and pixels that the front end touched."""
    n_y, n_x, n_band = shape
    wholes = {"outliers": n_y * n_x * n_band, "striped": n_x * n_band, "dead": n_x * n_band, "rare": n_y * n_x}
    return {f"{key}_fraction": sum(r[key] for r in records) / whole for key, whole in wholes.items()}


def quality(scene: SceneModel, expected: np.ndarray, removed: dict[str, np.ndarray]) -> dict[str, Any]:
    """What a run records about a scene and its result; series run over the bands, medians over the used ones.

    ``psnr_db`` is the expected one: the peak of each restored band against the error that Stein's estimate expects in it.
    """
    used, peak = scene.used, removed["peak"]
    signal = np.sqrt(scene.mean[used] ** 2)
    return {
        "noise_sigma": scene.sigma,
        "snr": np.where(scene.sigma > 0, np.abs(scene.mean) / np.maximum(scene.sigma, 1e-300), np.nan),
        "noise_sigma_after": expected,
        "noise_median": float(np.median(scene.sigma[used])),
        "noise_after_median": float(np.median(expected[used])),
        "gain_db": float(20 * np.log10(np.median(scene.sigma[used] / np.maximum(expected[used], 1e-30)))),
        "psnr_db": float(np.mean(20 * np.log10(np.maximum(peak[used], 1e-30) / np.maximum(expected[used], 1e-30)))),
        "snr_db": float(20 * np.log10(np.median(np.maximum(signal, 1e-30) / scene.sigma[used]))),
        "n_component": scene.n_component,
        "n_used_bands": int(used.sum()),
        **{name: values for name, values in removed.items() if name != "peak"},
        "residual_correlation_median": float(np.median(removed["residual_correlation"][used])),
    }

"""The numbers a run records about a scene and its result."""

from typing import Any

import numpy as np

from tasks.denoise.scene import SceneModel

SERIES = ("total", "square", "lag", "left", "left_square", "both")


def residual_sums(before: np.ndarray, after: np.ndarray, valid: np.ndarray) -> dict[str, Any]:
    """Per band: number, sum, sum of squares of what was removed, of products of horizontal neighbours, and the same of and
    with what was left; over the pixels: the sum of the angles between the two spectra [deg], and their number.

    Line by line: a tile's worth of float64 temporaries took five times as long as denoising the tile.
    """
    sums = {name: np.zeros(before.shape[2]) for name in SERIES}
    angle, n_angle = 0.0, 0
    for noisy, clean, marks in zip(before, after, valid, strict=True):
        kept = np.where(marks, noisy - clean, np.float32(0)).astype(np.float64)
        sums["total"] += kept.sum(0)
        sums["square"] += np.einsum("xb,xb->b", kept, kept)
        sums["lag"] += np.einsum("xb,xb->b", kept[1:], kept[:-1])
        left = np.where(marks, clean, np.float32(0)).astype(np.float64)
        sums["left"] += left.sum(0)
        sums["left_square"] += np.einsum("xb,xb->b", left, left)
        both = kept * left
        sums["both"] += both.sum(0)
        lengths = np.sqrt(np.einsum("xb,xb->x", kept, kept) * np.einsum("xb,xb->x", left, left))
        cosine = both.sum(1)[lengths > 0] / lengths[lengths > 0]
        angle += float(np.degrees(np.arccos(np.clip(cosine, -1, 1))).sum())
        n_angle += cosine.size
    series = {name: found.tolist() for name, found in sums.items()}
    return {"count": valid.sum((0, 1)).tolist(), "angle": angle, "angles": n_angle, **series}


def removed_figures(records: list[dict[str, Any]]) -> dict[str, Any]:
    """What was removed from the scene, from the `residual_sums` of all its tiles.

    ``leakage`` is the correlation of what was removed with what was kept, and ``residual_angle_deg`` the mean angle between
    the two spectra of a pixel: 0 and 90 degrees where only noise went.
    """
    sums = {key: np.sum([r[key] for r in records], axis=0) for key in ("count", *SERIES)}
    count = np.maximum(sums["count"], 1)
    away = sums["square"] - sums["total"] ** 2 / count
    left = sums["left_square"] - sums["left"] ** 2 / count
    both = sums["both"] - sums["total"] * sums["left"] / count
    return {
        "residual_mean": sums["total"] / count,
        "residual_rms": np.sqrt(sums["square"] / count),
        "residual_correlation": sums["lag"] / np.maximum(sums["square"], 1e-30),
        "leakage": both / np.sqrt(np.maximum(away * left, 1e-60)),
        "residual_angle_deg": sum(r["angle"] for r in records) / max(sum(r["angles"] for r in records), 1),
    }


def snr(mean: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """Signal-to-noise ratio of each band; NaN where there is no noise to compare with."""
    return np.where(sigma > 0, np.abs(mean) / np.maximum(sigma, 1e-300), np.nan)


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
        "snr": snr(scene.mean, scene.sigma),
        "noise_sigma_after": expected,
        "noise_median": float(np.median(scene.sigma[used])),
        "noise_after_median": float(np.median(expected[used])),
        "gain_db": float(20 * np.log10(np.median(scene.sigma[used] / np.maximum(expected[used], 1e-30)))),
        "psnr_db": float(np.mean(20 * np.log10(np.maximum(peak[used], 1e-30) / np.maximum(expected[used], 1e-30)))),
        "snr_db": float(20 * np.log10(np.median(np.maximum(signal, 1e-30) / scene.sigma[used]))),
        "n_component": scene.n_component,
        "n_used_bands": int(used.sum()),
        **{name: values for name, values in removed.items() if name != "peak"},
        "leakage_median": float(np.median(removed["leakage"][used])),
        "residual_correlation_median": float(np.median(removed["residual_correlation"][used])),
    }

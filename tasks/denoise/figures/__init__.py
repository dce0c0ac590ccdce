"""The numbers a run records about a scene and its result."""

from typing import Any

import numpy as np

from tasks.denoise.figures import _cpu
from tasks.denoise.scene import SceneModel

SERIES = ("total", "square", "lag", "left", "left_square", "both")


class ResidualSums:
    """Per band: number, sum, sum of squares of what was removed, of products of horizontal neighbours, and the same of and with
    what was left, and its peak; over the pixels: the sum of the angles between the two spectra [deg], and their number.

    Rows are added as they come: a tile's worth of temporaries took longer than denoising the tile.
    """

    def __init__(self, n_band: int) -> None:
        self._sums, self._peak = np.zeros((len(SERIES), n_band)), np.zeros(n_band)
        self._count, self._angle, self._angles = np.zeros(n_band, np.int64), 0.0, 0

    def add(self, before: np.ndarray, after: np.ndarray, valid: np.ndarray) -> None:
        """Count some whole rows (y, x, band), before and after."""
        angle, angles = _cpu.add_rows(before, after, valid, self._sums, self._count, self._peak)
        self._angle, self._angles = self._angle + float(np.degrees(angle)), self._angles + angles

    def record(self) -> dict[str, Any]:
        """The sums as plain numbers; `removed_figures` takes those of all tiles."""
        series = {name: found.tolist() for name, found in zip(SERIES, self._sums, strict=True)}
        whole = {"count": self._count.tolist(), "peak": self._peak.tolist()}
        return whole | {"angle": self._angle, "angles": self._angles} | series


def removed_figures(records: list[dict[str, Any]]) -> dict[str, Any]:
    """What was removed from the scene, from the `ResidualSums` of all its tiles.

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
        "peak": np.max([r["peak"] for r in records], axis=0),
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

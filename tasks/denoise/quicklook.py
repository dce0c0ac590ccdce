"""One picture of a denoised scene: before, after and what was removed, and the noise of every band."""

from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np

RGB_NM = (640.0, 550.0, 460.0)
MARKS = 400
"""Rare pixels drawn at most."""


@dataclass(frozen=True)
class Spectra:
    """The scene band by band: ``axis`` [nm or number], ``sigma``, ``sigma_after``, ``mean`` (band,), and their units."""

    axis: np.ndarray
    sigma: np.ndarray
    sigma_after: np.ndarray
    mean: np.ndarray
    units: str

    @property
    def good(self) -> np.ndarray:
        """Bands that were denoised."""
        return self.sigma > 0

    @property
    def snr(self) -> np.ndarray:
        """Mean over noise; NaN in other bands."""
        return np.where(self.good, np.abs(self.mean) / np.where(self.good, self.sigma, 1), np.nan)

    @property
    def shown(self) -> list[int]:
        """Red, green, blue, the worst and the best band."""
        return [*rgb_bands(self.axis, self.good), int(np.nanargmin(self.snr)), int(np.nanargmax(self.snr))]


def rgb_bands(axis: np.ndarray, good: np.ndarray) -> list[int]:
    """The good bands nearest to red, green and blue; spread over the cube where the axis holds no wavelengths."""
    candidates = np.flatnonzero(good)
    visible = axis.min() < RGB_NM[1] < axis.max()
    wanted = RGB_NM if visible else np.quantile(axis[candidates], (0.75, 0.4, 0.1))
    return [int(candidates[np.abs(axis[candidates] - nm).argmin()]) for nm in wanted]


def draw(before: np.ndarray, after: np.ndarray, rare: np.ndarray, spectra: Spectra) -> bytes:
    """The picture as PNG.

    Parameters
    ----------
    before, after : (y, x, 5) arrays
        The bands `Spectra.shown` of a part of the scene.
    rare : (y, x) bool array
        Pixels from which more than noise was removed.
    spectra : Spectra
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 9), layout="constrained")
    grid = figure.add_gridspec(3, 5)
    worst, best = (spectra.axis[band] for band in spectra.shown[3:])
    names = ("colour", f"worst band, {worst:g}", f"best band, {best:g}")
    for column, (name, part) in enumerate(zip(names, (slice(0, 3), 3, 4), strict=True)):
        sigma = spectra.sigma[np.array(spectra.shown)[part]]
        low, high = np.nanpercentile(after[..., part], (1, 99), axis=(0, 1))
        rows = {
            "before": (before[..., part] - low) / np.maximum(high - low, 1e-12),
            "after": (after[..., part] - low) / np.maximum(high - low, 1e-12),
            "removed, ±4 sigma": (before - after)[..., part] / (8 * sigma) + 0.5,
        }
        for row, (when, values) in enumerate(rows.items()):
            axes = figure.add_subplot(grid[row, column])
            axes.imshow(np.clip(values, 0, 1), cmap="gray", vmin=0, vmax=1)
            axes.set_title(f"{name}: {when}", fontsize=9)
            axes.set_axis_off()
            if column == 0 and row == 1:
                _mark(axes, rare)
    _noise(figure.add_subplot(grid[:2, 3:]), spectra)
    _snr(figure.add_subplot(grid[2, 3:]), spectra)
    out = BytesIO()
    FigureCanvasAgg(figure).print_png(out)
    return out.getvalue()


def _mark(axes: Any, rare: np.ndarray) -> None:
    """Circles round the rare pixels, evenly chosen where there are too many to see."""
    y, x = np.nonzero(rare)
    if len(y):
        step = -(-len(y) // MARKS)
        axes.scatter(x[::step], y[::step], s=24, facecolors="none", edgecolors="red", linewidths=0.7)
        axes.set_title("colour: after; red: rare pixels", fontsize=9)


def _noise(axes: Any, spectra: Spectra) -> None:
    good = spectra.good
    for name, values in (("before", spectra.sigma), ("after (expected)", spectra.sigma_after)):
        axes.semilogy(spectra.axis[good], np.maximum(values[good], 1e-12), label=f"noise {name}", drawstyle="steps-mid")
    axes.semilogy(spectra.axis[good], np.maximum(np.abs(spectra.mean[good]), 1e-12), label="mean signal", color="0.6")
    axes.set_ylabel(f"[{spectra.units}]")
    axes.legend(fontsize=8)
    axes.set_title("noise spectrum", fontsize=9)


def _snr(axes: Any, spectra: Spectra) -> None:
    good = spectra.good
    axes.semilogy(spectra.axis[good], np.maximum(spectra.snr[good], 1e-3), drawstyle="steps-mid", label="before")
    after = np.abs(spectra.mean[good]) / np.maximum(spectra.sigma_after[good], 1e-30)
    axes.semilogy(spectra.axis[good], np.maximum(after, 1e-3), drawstyle="steps-mid", label="after (expected)")
    axes.set_xlabel("wavelength [nm]" if spectra.axis.max() > 300 else "band")
    axes.legend(fontsize=8)
    axes.set_title("signal-to-noise ratio", fontsize=9)

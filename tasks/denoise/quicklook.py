"""One picture of a denoised scene: true colour, the worst and the best band, and the noise of every band."""

from dataclasses import dataclass
from io import BytesIO

import numpy as np

RGB_NM = (640.0, 550.0, 460.0)


@dataclass(frozen=True)
class Look:
    """What the picture shows: two cubes (y, x, band), the band axis [nm or number], noise before and after (band,)."""

    before: np.ndarray
    after: np.ndarray
    axis: np.ndarray
    sigma: np.ndarray
    sigma_after: np.ndarray
    units: str


def rgb_bands(axis: np.ndarray, good: np.ndarray) -> list[int]:
    """The good bands nearest to red, green and blue; spread over the cube where the axis holds no wavelengths."""
    candidates = np.flatnonzero(good)
    visible = axis.min() < RGB_NM[1] < axis.max()
    wanted = RGB_NM if visible else np.quantile(axis[candidates], (0.75, 0.4, 0.1))
    return [int(candidates[np.abs(axis[candidates] - nm).argmin()]) for nm in wanted]


def draw(look: Look) -> bytes:
    """The picture as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    good = look.sigma > 0
    snr = np.where(good, np.abs(look.before.mean((0, 1))) / np.where(good, look.sigma, 1), np.nan)
    worst, best = int(np.nanargmin(snr)), int(np.nanargmax(snr))
    figure = Figure(figsize=(13, 7), layout="constrained")
    grid = figure.add_gridspec(2, 5)
    colours = rgb_bands(look.axis, good)
    pictures = [
        ("colour", colours),
        (f"worst band, {look.axis[worst]:g}", worst),
        (f"best band, {look.axis[best]:g}", best),
    ]
    for column, (name, bands) in enumerate(pictures):
        low, high = np.nanpercentile(look.after[..., bands], (1, 99), axis=(0, 1))
        for row, (when, cube) in enumerate((("before", look.before), ("after", look.after))):
            axes = figure.add_subplot(grid[row, column])
            axes.imshow(np.clip((cube[..., bands] - low) / np.maximum(high - low, 1e-12), 0, 1), cmap="gray")
            axes.set_title(f"{name}: {when}", fontsize=9)
            axes.set_axis_off()
    _noise(figure.add_subplot(grid[:, 3:]), look, good)
    out = BytesIO()
    FigureCanvasAgg(figure).print_png(out)
    return out.getvalue()


def _noise(axes: "object", look: Look, good: np.ndarray) -> None:
    for name, values in (("before", look.sigma), ("after (expected)", look.sigma_after)):
        axes.semilogy(look.axis[good], np.maximum(values[good], 1e-12), label=f"noise {name}", drawstyle="steps-mid")
    axes.semilogy(look.axis[good], np.abs(look.after.mean((0, 1)))[good], label="mean signal", color="0.6")
    axes.set_xlabel("wavelength [nm]" if look.axis.max() > 300 else "band")
    axes.set_ylabel(f"[{look.units}]")
    axes.legend(fontsize=8)
    axes.set_title("noise spectrum", fontsize=9)

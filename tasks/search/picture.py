"""One picture per candidate that an astronomer can judge at a glance."""

from io import BytesIO
from typing import Any

import numpy as np

from tasks.search.cutouts import Cutout


def draw(cutout: Cutout, facts: dict[str, Any], freqs: np.ndarray) -> bytes:
    """PNG: light curve and dedispersed spectrum, DM against time, image; ``facts`` are a row of `search`'s table."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 5.6), layout="constrained")
    grid = figure.add_gridspec(2, 3, height_ratios=(1, 2.4), width_ratios=(1.25, 1.25, 1))
    curve, spectrum = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[1, 0])
    bow, image, words = figure.add_subplot(grid[:, 1]), figure.add_subplot(grid[1, 2]), figure.add_subplot(grid[0, 2])
    half = facts["width_s"] / 2
    edges = cutout.times[0], cutout.times[-1]
    _curve(curve, cutout, half)
    low, high = np.min(freqs), np.max(freqs)
    rows = cutout.spectrum if freqs[0] > freqs[-1] else cutout.spectrum[::-1]
    _show(figure, spectrum, rows, (*edges, low, high), "upper", "S/N per channel", -3, None)
    spectrum.set(xlabel="time from the pulse [s]", ylabel="frequency [MHz]")
    for side in (-half, half):
        spectrum.axvline(side, color="white", lw=0.8, ls=":")
    extent = (*edges, cutout.dms[0], max(cutout.dms[-1], cutout.dms[0] + 1e-6))
    _show(figure, bow, cutout.dm_time, extent, "lower", "S/N", None, None)
    bow.set(xlabel="time from the pulse [s]", ylabel="DM [pc cm$^{-3}$]", title="DM against time")
    bow.plot(0, facts["dm"], "+", color="red", ms=14, mew=1)
    y0, x0 = cutout.corner
    size = cutout.image.shape[0]
    _show(
        figure, image, cutout.image, (x0 - 0.5, x0 + size - 0.5, y0 - 0.5, y0 + size - 0.5), "lower", "S/N", None, None
    )
    image.plot(facts["x"], facts["y"], "o", mfc="none", mec="red", ms=16, mew=1)
    image.set(xlabel="x [pixel]", ylabel="y [pixel]", aspect="equal")
    words.axis("off")
    words.text(0, 1, _caption(facts), va="top", family="monospace", fontsize=9, transform=words.transAxes)
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=90, metadata={"Software": None})
    return buffer.getvalue()


def _curve(axes: Any, cutout: Cutout, half: float) -> None:
    usable = np.isfinite(cutout.spectrum)
    total = np.where(usable, cutout.spectrum, 0).sum(0) / np.sqrt(np.maximum(1, usable.sum(0)))
    axes.step(cutout.times, total, where="mid", color="black", lw=1)
    axes.axvspan(-half, half, color="orange", alpha=0.3, lw=0)
    axes.axhline(0, color="grey", lw=0.5)
    axes.set(ylabel="S/N per bin", xlim=(cutout.times[0], cutout.times[-1]), title="dedispersed")
    axes.tick_params(labelbottom=False)


def _show(
    figure: Any, axes: Any, values: np.ndarray, extent: tuple, origin: str, label: str, low: Any, high: Any
) -> None:
    shown = axes.imshow(
        values,
        aspect="auto",
        extent=extent,
        origin=origin,
        vmin=low,
        vmax=high,
        cmap="viridis",
        interpolation="nearest",
    )
    figure.colorbar(shown, ax=axes, label=label, pad=0.01)


def _caption(facts: dict[str, Any]) -> str:
    lines = [
        f"S/N      {facts['snr']:.1f}   (best trial {facts['trial_snr']:.1f})",
        f"DM       {facts['dm']:.1f} pc cm-3",
        f"width    {facts['width_s']:.3g} s",
        f"time     {facts['time_s']:.3f} s at {facts['ref_freq_mhz']:.1f} MHz",
    ]
    if facts.get("mjd") is not None:
        lines.append(f"MJD      {facts['mjd']:.8f}")
    if facts.get("ra_deg") is not None:
        lines.append(f"RA Dec   {facts['ra_deg']:.5f} {facts['dec_deg']:+.5f} deg")
    lines.append(f"pixel    x {facts['x']:.2f}  y {facts['y']:.2f}")
    lines.append(f"false alarm probability  {facts['false_alarm_probability']:.1e}")
    if facts.get("known_source"):
        lines.append(f"known    {facts['known_source']} ({facts['separation_arcsec']:.1f} arcsec)")
    if facts.get("simulated"):
        lines.append("SIMULATED DATA")
    return "\n".join(lines)

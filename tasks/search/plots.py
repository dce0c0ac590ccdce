"""The pictures of the flows around the search: completeness, rate limits, sky coverage, periods."""

from io import BytesIO
from typing import Any

import numpy as np
import pandas as pd


def completeness_picture(curves: dict) -> bytes:
    """Fraction found against each property of the pulses, with its interval."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3.4), layout="constrained")
    for axes, (name, (edges, curve)) in zip(figure.subplots(1, len(curves)), curves.items(), strict=True):
        ends = np.minimum(edges, 25) if name == "ideal_snr" else edges
        middle = (ends[1:] + ends[:-1]) / 2
        used = curve["tried"] > 0
        errors = np.abs(np.stack([curve["fraction"] - curve["low"], curve["high"] - curve["fraction"]]))[:, used]
        axes.errorbar(middle[used], curve["fraction"][used], yerr=errors, xerr=np.diff(ends)[used] / 2, fmt="o", ms=4)
        axes.set(xlabel=name.replace("_", " "), ylim=(-0.03, 1.03))
        if name in ("width_s", "fluence") and ends[0] > 0:
            axes.set_xscale("log")
    figure.axes[0].set_ylabel("fraction found")
    return _png(figure)


def limit_picture(table: pd.DataFrame, confidence: float) -> bytes:
    """Limits against fluence, one line per width."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 5), layout="constrained")
    axes = figure.add_subplot()
    for width, part in table.groupby("width_s"):
        seen = np.isfinite(part["rate_limit"])
        axes.loglog(part["fluence"][seen], part["rate_limit"][seen], label=f"{width:.3g} s")
    axes.set(
        xlabel=f"fluence [{table['fluence_unit'][0]}]",
        ylabel="rate limit [deg$^{-2}$ h$^{-1}$]",
        title=f"bursts are rarer than this ({confidence:.0%} confidence)",
    )
    axes.legend(title="width")
    return _png(figure)


def sky_picture(exposures: list[dict[str, Any]]) -> bytes:
    """What was watched, in Galactic coordinates: one mark per exposure, as large as the time spent."""
    from astropy import units
    from astropy.coordinates import SkyCoord
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.add_subplot(projection="aitoff")
    place: Any = SkyCoord(
        [r["ra_deg"] for r in exposures] * units.deg, [r["dec_deg"] for r in exposures] * units.deg
    ).galactic
    hours = np.array([r["seconds"] for r in exposures]) / 3600
    size = 20 + 180 * hours / hours.max()
    longitude = -place.l.wrap_at(180 * units.deg).radian  # the Galactic convention: longitude grows to the left
    shown = axes.scatter(longitude, place.b.radian, s=size, c=hours, cmap="viridis", alpha=0.8)
    axes.set_xticklabels([f"{-x}°" for x in range(-150, 151, 30)])
    axes.grid(alpha=0.4)
    axes.set_title(f"{len(exposures)} exposures, {hours.sum():.3g} h, Galactic coordinates", pad=20)
    figure.colorbar(shown, ax=axes, label="hours", shrink=0.7)
    return _png(figure)


def periods_picture(folds: dict[tuple[int, int, float], Any], threshold: float) -> bytes:
    """S/N against period of every target, and the best profile."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4), layout="constrained")
    periods, profile = figure.subplots(1, 2, width_ratios=(2, 1))
    for fold in folds.values():
        periods.semilogx(fold.period_s, fold.snr, lw=0.7)
    periods.axhline(threshold, color="grey", ls=":")
    periods.set(xlabel="period [s]", ylabel="S/N")
    (y, x, dm), best = max(folds.items(), key=lambda item: item[1].snr.max(initial=0))
    profile.step(range(len(best.profile)), best.profile, where="mid", color="black")
    profile.set(xlabel="phase bin", ylabel="S/N per bin", title=f"best: pixel y {y} x {x}, DM {dm:g}")
    return _png(figure)


def _png(figure: Any) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=90, metadata={"Software": None})
    return buffer.getvalue()

"""What the survey flow reads, computes and draws."""

from io import BytesIO
from typing import Any

import numpy as np
import pandas as pd

from storage import query
from storage.errors import BadInputError
from storage.product import Product
from storage.search import Exposure
from tasks.search.rates import limits

Curve = tuple[np.ndarray, np.ndarray]


def usable_exposures(where: str) -> list[dict[str, Any]]:
    """Exposures that meet ``where`` and know their area; the deepest of each observation, so that none counts twice."""
    rows = query.table(Exposure, where or None, order=Exposure.threshold.desc(), limit=1_000_000)
    rows = list({_observation(row): row for row in rows if row["area_deg2"]}.values())
    if not rows:
        raise BadInputError(
            f"no exposure with a celestial position meets {where!r}; search cubes that carry a WCS, or change the condition"
        )
    return rows


def _observation(row: dict[str, Any]) -> tuple:
    """The same sky at the same time is one observation, also when it was ingested twice."""
    if row["mjd"] is None:
        return (row["product_id"],)
    return row["mjd"], row["ra_deg"], row["dec_deg"], row["n_pixel"], row["dt_s"]


def completeness_curve(name: str | None) -> Curve | None:
    """Edges of the S/N bins and found fractions, from the product called ``name`` or the newest of its kind."""
    if name is None:
        rows = query.products("kind = 'completeness'", limit=1)
        if not rows:
            return None
        name = str(rows[0]["uri"])
    product = Product(query.product(name)["uri"])
    return product["ideal_snr_edges"].read(), product["ideal_snr_fraction"].read()


def rate_table(exposures: list[dict[str, Any]], params: Any, curve: Curve | None) -> pd.DataFrame:
    """Limits on a grid of widths and fluences around what the exposures can see."""
    widest, dt = max(row["width_max_s"] for row in exposures), min(row["dt_s"] for row in exposures)
    widths = np.geomspace(dt, widest, 7)
    row = exposures[0]
    faintest = row["threshold"] * row["noise"] * np.sqrt(dt * dt / row["n_channel"])
    fluences = np.geomspace(faintest / 2, faintest * 300, 40)
    rates = limits(exposures, params.n_bursts, params.confidence, fluences, widths, curve)
    w, f = np.meshgrid(widths, fluences, indexing="ij")
    units = row["units"]
    table = pd.DataFrame({"width_s": w.ravel(), "fluence": f.ravel(), "rate_limit": rates.ravel()})
    return table.assign(fluence_unit=f"{units} s", rate_unit="deg^-2 h^-1")


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


def _png(figure: Any) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=90, metadata={"Software": None})
    return buffer.getvalue()

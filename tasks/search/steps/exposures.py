"""What was watched, and how completely, from the database."""

from typing import Any

import numpy as np

from storage import query
from storage.errors import BadInputError
from storage.product import Product
from storage.search import Exposure

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

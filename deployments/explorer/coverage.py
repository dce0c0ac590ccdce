"""What part of the sky was watched, for how long: exposures on a map in Galactic coordinates."""

from typing import Any

import numpy as np

from deployments.explorer.answers import COUNTED, Page, Size, Where, paging
from storage import query
from storage.search import Exposure

DRAWN = 2000
"""Marks on the map at most: the newest exposures."""
WIDTH, HEIGHT = 720, 360


def coverage(where: Where = "", page: Page = 1, size: Size = 50) -> dict[str, Any]:
    """Exposures of the transient search, newest first, and where on the sky they lie."""
    newest = Exposure.mjd.desc()
    rows = query.table(Exposure, where or None, order=newest, limit=size, offset=(page - 1) * size)
    drawn = query.table(Exposure, where or None, order=newest, limit=DRAWN)
    placed = [row for row in drawn if row["ra_deg"] is not None and row["dec_deg"] is not None]
    total = query.count(Exposure, where or None, up_to=COUNTED)
    return {
        "rows": rows,
        "marks": _marks(placed),
        "grid": _grid(),
        "hours": sum(row["seconds"] for row in drawn) / 3600,
        "deg2_hours": sum(row["seconds"] * (row["area_deg2"] or 0.0) for row in drawn) / 3600,
        "unplaced": len(drawn) - len(placed),
        "drawn": len(drawn),
        "asked": {"where": where},
    } | paging(total, page, size)


def _marks(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Place, size and meaning of each mark; the area of a mark is the time spent."""
    if not rows:
        return []
    from astropy import units
    from astropy.coordinates import SkyCoord

    place: Any = SkyCoord([r["ra_deg"] for r in rows] * units.deg, [r["dec_deg"] for r in rows] * units.deg).galactic
    longitude, latitude = np.asarray(place.l.wrap_at(180 * units.deg).rad), np.asarray(place.b.rad)
    x, y = _aitoff(longitude, latitude)
    longest = max(row["seconds"] for row in rows) or 1.0
    return [
        {
            "x": round(float(a), 1),
            "y": round(float(b), 1),
            "r": round(3 + 9 * (row["seconds"] / longest) ** 0.5, 1),
            "run_id": row["run_id"],
            "simulated": row["simulated"],
            "about": f"l {np.degrees(lon) % 360:.2f}°, b {np.degrees(lat):+.2f}°: {row['seconds'] / 3600:.3g} h, "
            f"{row['area_deg2'] or 0:.3g} deg², {row['n_candidate']} candidates",
        }
        for a, b, lon, lat, row in zip(x, y, longitude, latitude, rows, strict=True)
    ]


def _aitoff(longitude: np.ndarray, latitude: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Aitoff's projection on the page; Galactic longitude grows to the left."""
    angle = np.arccos(np.cos(latitude) * np.cos(longitude / 2))
    sinc = np.sinc(angle / np.pi)
    x = 2 * np.cos(latitude) * np.sin(longitude / 2) / sinc
    return WIDTH / 2 * (1 - x / np.pi), HEIGHT / 2 * (1 - np.sin(latitude) / sinc / (np.pi / 2))


def _grid() -> list[str]:
    """Meridians and parallels every 30 degrees, as the points of polylines."""
    fine = np.radians(np.linspace(-180, 180, 73))
    lines = [_aitoff(np.full(37, np.radians(lon)), fine[18:55]) for lon in range(-180, 181, 30)]
    lines += [_aitoff(fine, np.full(73, np.radians(lat))) for lat in range(-60, 61, 30)]
    return [" ".join(f"{a:.0f},{b:.0f}" for a, b in zip(x, y, strict=True)) for x, y in lines]

"""What a search leaves: candidates as rows and Parquet, cutouts, flags, pictures, and the exposure."""

from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import pandas as pd

from storage import search as layouts
from storage.digest import digest_json
from storage.product import Product
from storage.runs import RecordedRun
from tasks.search import sky
from tasks.search.cutouts import BINS, DM_TRIALS, EDGE, Cutout
from tasks.search.hunt import SearchPlan
from tasks.search.noise import Weights
from tasks.search.outlook import work
from tasks.search.picture import draw
from tasks.search.steps.observation import Observation


@dataclass(frozen=True)
class Field:
    """Where and when an observation was made, as far as it says."""

    wcs: Any
    mjd: float | None
    simulated: bool
    units: str
    scale: float

    @classmethod
    def of(cls, cube: Product) -> "Field":
        """The field of ``cube``."""
        attrs = cube.group_attrs
        scale = float(cube.attrs.get("scale_factor", 1.0))
        simulated = "simulated" in str(attrs.get("object", "")).lower() or bool(attrs.get("simulated", False))
        return cls(sky.celestial(attrs.get("wcs")), _mjd(attrs), simulated, str(cube.attrs.get("units", "1")), scale)


def _mjd(attrs: Any) -> float | None:
    if "mjd_obs" in attrs:
        return float(attrs["mjd_obs"])
    if "date_obs" in attrs:
        from astropy.time import Time

        try:
            return float(np.asarray(Time(str(attrs["date_obs"])).mjd))
        except ValueError:
            return None
    return None


def publish(
    run: RecordedRun,
    seen: Observation,
    plan: SearchPlan,
    weights: Weights,
    frame: pd.DataFrame,
    cutouts: list[Cutout],
    flags: Product,
) -> None:
    """Candidates as rows and Parquet, flags and cutouts as arrays, a picture for each cutout, the exposure as a row."""
    field = Field.of(seen.cube)
    table = located(frame, field, run.params)
    run.publish(flags)
    publish_candidates(run, table, cutouts, seen.freqs)
    rows = [plain_row(table, n) for n in range(len(table))]
    for n, cutout in enumerate(cutouts):
        run.save(f"candidate_{n + 1:03d}.png", draw(cutout, rows[n], seen.freqs), kind="picture")
    exposure = _exposure(run, run.inputs["source"].product_id or "", seen, plan, weights, field, len(rows))
    run.add_rows(exposure)
    run.record(
        n_candidates=len(rows),
        flagged_fraction=exposure.flagged_fraction,
        observed_s=exposure.seconds,
        n_dm_trials=sum(len(level.dms) for level in plan.levels),
        n_width_trials=sum(len(level.widths) for level in plan.levels),
        **vars(work(plan)),
        complete_up_to_dm=frame.attrs["complete_up_to_dm"],
        **{name: table[column].to_numpy()[:100] for name, column in METRICS.items() if len(rows)},
    )
    run.report(candidates=rows[:20], simulated=field.simulated)


def publish_candidates(run: RecordedRun, table: pd.DataFrame, cutouts: list[Cutout], freqs: np.ndarray) -> list[str]:
    """Candidates as rows and Parquet, the cutouts of the first ones as arrays; return the rows' ids."""
    uri = None
    if cutouts:
        product = run.create("cutouts", cutout_layout(cutouts, table, freqs))
        write_cutouts(product, cutouts)
        run.publish(product)
        uri = run.area.public(product.uri)  # where it will stand when the run has ended
    buffer = BytesIO()
    table.to_parquet(buffer, index=False)
    run.save("candidates.parquet", buffer.getvalue(), kind="candidates")
    product_id = run.inputs["source"].product_id or ""
    rows = [
        _candidate(run, product_id, n, plain_row(table, n), uri if n < len(cutouts) else None)
        for n in range(len(table))
    ]
    run.add_rows(*rows)
    return [row.id for row in rows]


METRICS = {
    "candidate_snr": "snr",
    "candidate_dm": "dm",
    "candidate_width_s": "width_s",
    "candidate_time_s": "time_s",
    "candidate_y": "y",
    "candidate_x": "x",
    "candidate_false_alarm_probability": "false_alarm_probability",
}


def located(frame: pd.DataFrame, field: Field, params: Any) -> pd.DataFrame:
    """The candidates with date, celestial position and nearest known source."""
    ra, dec = sky.radec(field.wcs, frame["y"].to_numpy(), frame["x"].to_numpy())
    matched = [(None, None)] * len(frame)
    if params.catalogue:
        matched = sky.cross_match(ra, dec, sky.read_catalogue(params.catalogue), params.match_radius)
    return frame.assign(
        mjd=np.nan if field.mjd is None else field.mjd + frame["time_s"] / 86400.0,
        ra_deg=ra,
        dec_deg=dec,
        known_source=pd.Series([name for name, _ in matched], dtype="object"),
        separation_arcsec=pd.Series([distance for _, distance in matched], dtype="float64"),
        simulated=field.simulated,
    )


def plain_row(table: pd.DataFrame, n: int) -> dict[str, Any]:
    """One row as plain numbers; what is missing is None."""
    row = table.iloc[n].to_dict()
    return {
        str(k): None
        if v is None or (isinstance(v, float) and not np.isfinite(v))
        else getattr(v, "item", lambda v=v: v)()
        for k, v in row.items()
    }


def _candidate(
    run: RecordedRun, product_id: str, n: int, row: dict[str, Any], cutouts: str | None
) -> layouts.Candidate:
    identity = digest_json([run.id, n, row["time_s"], row["y"], row["x"], row["dm"]])[:16]
    return layouts.Candidate(id=identity, run_id=run.id, product_id=product_id, number=n + 1, cutouts=cutouts, **row)


def _exposure(
    run: RecordedRun,
    product_id: str,
    seen: Observation,
    plan: SearchPlan,
    weights: Weights,
    field: Field,
    n_candidate: int,
) -> layouts.Exposure:
    area = sky.pixel_area(field.wcs)
    n_pixel = seen.shape[2] * seen.shape[3]
    centre = sky.radec(field.wcs, np.array([(seen.shape[2] - 1) / 2]), np.array([(seen.shape[3] - 1) / 2]))
    used = weights.u > 0
    noise = np.sqrt(1 / np.median(weights.u[used])) * field.scale if used.any() else np.inf
    widest = max(max(level.widths) * level.factor for level in plan.levels) * plan.dt
    return layouts.Exposure(
        id=digest_json([run.id, product_id, "exposure"])[:16],
        run_id=run.id,
        product_id=product_id,
        seconds=float(used.any(1).sum() * plan.dt),
        n_pixel=n_pixel,
        area_deg2=None if area is None else area * n_pixel,
        ra_deg=float(centre[0][0]) if field.wcs is not None else None,
        dec_deg=float(centre[1][0]) if field.wcs is not None else None,
        mjd=field.mjd,
        threshold=plan.threshold,
        dm_max=float(plan.levels[0].dms.max()),
        width_max_s=widest,
        dt_s=plan.dt,
        noise=float(noise),
        units=field.units,
        n_channel=seen.shape[1],
        flagged_fraction=float(weights.flags.mean()),
        n_candidate=n_candidate,
        simulated=field.simulated,
    )


def write_cutouts(product: Product, cutouts: list[Cutout]) -> None:
    """Store the cutouts, one shard each."""
    for n, cutout in enumerate(cutouts):
        for name in ("image", "spectrum", "dm_time"):
            values = getattr(cutout, name)
            product[name].write((slice(n, n + 1), *(slice(0, k) for k in values.shape)), values[None])


def cutout_layout(cutouts: list[Cutout], frame: pd.DataFrame, freqs: np.ndarray) -> Any:
    """Layout of the cutouts' product, every axis labelled."""
    n, named = len(cutouts), layouts.coordinate
    coords = {
        "candidate": named(("candidate",), np.arange(1, n + 1), "1", "number of the candidate, strongest first"),
        "channel": named(("channel",), freqs, "MHz", "frequency of the channel's centre"),
        "offset": named(("candidate", "bin"), [c.times for c in cutouts], "s", "time from the pulse"),
        "dm": named(("candidate", "dm_trial"), [c.dms for c in cutouts], "pc cm-3", "dispersion measure of the trial"),
        "corner_y": named(("candidate",), [c.corner[0] for c in cutouts], "pixel", "row of the image's first pixel"),
        "corner_x": named(("candidate",), [c.corner[1] for c in cutouts], "pixel", "column of the image's first pixel"),
        "snr": named(("candidate",), frame["snr"].to_numpy()[:n], "1", "signal to noise ratio"),
    }
    return layouts.cutouts(n, len(freqs), EDGE, BINS, DM_TRIALS, coords)

"""Search pixels of interest for pulses that repeat."""

from prefect import flow
from pydantic import Field

from flows._cluster import cluster
from flows._sources import with_product
from flows.search import SearchParams
from storage.errors import BadInputError
from storage.runs import recorded
from storage.summary import RunSummary


class PeriodicityParams(SearchParams):
    """Which pixels, which periods, which DMs."""

    pixels: str = Field(
        "", description="pixels as 'y x, y x'; empty: the candidates that a search of this cube has found"
    )
    dms: str = Field("0", description="dispersion measures [pc cm^-3], separated by blanks; candidates add their own")
    period_min: float = Field(2.0, gt=0, description="shortest period [s]")
    period_max: float | None = Field(None, gt=0, description="longest period [s]; empty: a quarter of the observation")


@flow(name="periodicity")
def periodicity(params: PeriodicityParams) -> RunSummary:
    """Fold the light curves of pixels of interest at every period; publish a table and a picture of what repeats."""
    params = with_product(params, "radio_cube")
    with recorded("periodicity", params, also=_candidates(params)) as run:
        if run.repeated:
            return run.summary
        from tasks.search import steps
        from tasks.search.folding import strongest
        from tasks.search.plots import periods_picture

        seen = steps.observe(run.use("source"), params)
        wanted = targets(params, run.inputs["source"].product_id, seen.shape)
        with cluster():
            sigma, _ = steps.scan(seen)
            baseline, flags = steps.create_arrays(run.create, seen, params.tile)
            weights = steps.calibrate(run.create, seen, baseline, flags, sigma)
            longest = params.period_max or seen.shape[0] * seen.dt / 4
            folds = steps.fold_pixels(seen, baseline, flags, weights, wanted, params.period_min, longest)
        table = strongest(folds, params.threshold)
        run.save("periods.csv", table.to_csv(index=False).encode(), kind="table")
        run.save("periods.png", periods_picture(folds, params.threshold), kind="picture")
        run.record(n_pixels=len(wanted), n_periods=len(table), n_trials=sum(f.trials for f in folds.values()))
        run.report(periods=table.head(20).to_dict("records"))
    return run.summary


def _candidates(params: PeriodicityParams) -> str:
    """What the run would fold besides the given pixels: a later search of the same cube makes it other work."""
    from storage import query
    from storage.digest import digest_json
    from storage.search import Candidate
    from storage.sources import product_row

    row = product_row(params.source)
    if params.pixels or row is None:
        return ""
    return digest_json(sorted(c["id"] for c in query.table(Candidate, only=Candidate.product_id == row.id, limit=1000)))


def targets(params: PeriodicityParams, product_id: str | None, shape: tuple[int, ...]) -> list[tuple[int, int, float]]:
    """(y, x, DM) to fold: those given, or those of earlier candidates."""
    from storage import query
    from storage.search import Candidate

    try:
        dms = [float(v) for v in params.dms.split()]
        pairs = [tuple(int(v) for v in pair.split()) for pair in params.pixels.split(",") if pair.strip()]
        wanted = {(y, x, dm) for y, x in pairs for dm in dms}
    except ValueError as error:
        raise BadInputError(
            f"pixels {params.pixels!r} and dms {params.dms!r}: expected 'y x, y x' and '0 56.8'"
        ) from error
    if not wanted:
        for row in query.table(Candidate, only=Candidate.product_id == product_id, limit=1000):
            wanted |= {(round(row["y"]), round(row["x"]), dm) for dm in (*dms, round(row["dm"], 1))}
    if not wanted:
        raise BadInputError("no pixels were given and no search of this cube found any; give pixels as 'y x, y x'")
    outside = [t for t in wanted if not (0 <= t[0] < shape[2] and 0 <= t[1] < shape[3])]
    if outside:
        raise BadInputError(
            f"pixel {outside[0][:2]} lies outside the image of {shape[2]} x {shape[3]}; give y before x"
        )
    return sorted(wanted)

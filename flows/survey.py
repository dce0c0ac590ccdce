"""Turn all that was watched into a limit on how often the sky bursts."""

from prefect import flow
from pydantic import Field

from storage.parameters import Parameters
from storage.runs import recorded
from storage.summary import RunSummary


class SurveyParams(Parameters):
    """Which exposures, how many real bursts, how certain."""

    where: str = Field(
        "simulated = false", description="which exposures count, such as 'threshold <= 7 and simulated = false'"
    )
    n_bursts: int = Field(0, ge=0, description="bursts among the candidates that a person holds for real")
    confidence: float = Field(0.95, gt=0.5, lt=1, description="confidence of the limit")
    completeness: str | None = Field(
        None, description="product of the injection flow; empty: the newest one, or else a sharp threshold"
    )

    def inputs(self) -> dict[str, list[str]]:
        """None of its own: it reads the database."""
        return {}


@flow(name="survey")
def survey(params: SurveyParams) -> RunSummary:
    """Limit the rate of bursts per square degree and hour as a function of fluence and width; map what was watched."""
    with recorded("survey", params, deduplicate=False) as run:
        from tasks.search import plots
        from tasks.search.rates import rate_table
        from tasks.search.steps import exposures as watched

        exposures = watched.usable_exposures(params.where)
        curve = watched.completeness_curve(params.completeness)
        table = rate_table(exposures, params, curve)
        run.save("rate_limits.csv", table.to_csv(index=False).encode(), kind="table")
        run.save("rate_limits.png", plots.limit_picture(table, params.confidence), kind="picture")
        run.save("sky_coverage.png", plots.sky_picture(exposures), kind="picture")
        hours = sum(row["seconds"] for row in exposures) / 3600
        run.record(
            n_exposures=len(exposures),
            observed_hours=hours,
            area_hours_deg2=sum(row["seconds"] * row["area_deg2"] for row in exposures) / 3600,
            best_limit=float(table["rate_limit"].min()),
        )
        run.report(completeness="measured by injection" if curve else "taken as a sharp threshold: run injection first")
    return run.summary

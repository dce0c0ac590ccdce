"""Search a radio image cube for dispersed pulses, from a fraction of a second to minutes."""

from pathlib import Path
from typing import Any

from prefect import flow
from pydantic import Field

from flows._cluster import cluster
from flows._sources import with_product
from storage.parameters import Parameters
from storage.runs import recorded
from storage.summary import RunSummary

FOLLOWS = ("radio_cube",)


class SearchParams(Parameters):
    """Which cube, which pulses, how certain."""

    source: str = Field(description="file, product URI or product id of a (time, channel, y, x) cube")
    threshold: float = Field(7.0, ge=3, le=100, description="smallest S/N of a candidate")
    dm_max: float = Field(4000.0, ge=0, le=1e6, description="largest dispersion measure [pc cm^-3]")
    width_max: float | None = Field(
        None, gt=0, description="longest pulse [s]; empty: half of the observation, at most 8192 samples"
    )
    psf_fwhm: float | None = Field(
        None, gt=0, le=1000, description="beam width [px] for images with white pixel noise; empty for dirty images"
    )
    dt: float | None = Field(None, gt=0, description="sampling time [s], where the data do not say")
    freq_first: float | None = Field(
        None, gt=0, description="centre of the first channel [MHz], where the data do not say"
    )
    freq_last: float | None = Field(
        None, gt=0, description="centre of the last channel [MHz], where the data do not say"
    )
    catalogue: str | None = Field(
        None, description="CSV or VOTable of known sources (ra, dec in degrees) to compare with"
    )
    match_radius: float = Field(60.0, gt=0, description="largest distance to a known source [arcsec]")
    cutouts: int = Field(
        50, ge=0, le=10000, description="how many candidates get cutouts and a picture, strongest first"
    )
    tile: int = Field(32, ge=1, le=8192, description="edge of a tile [px]; the result does not depend on it")

    def inputs(self) -> dict[str, list[str]]:
        """The cube, and the catalogue if there is one."""
        return {"source": [self.source]} | ({"catalogue": [self.catalogue]} if self.catalogue else {})


def sample(folder: Path) -> list[str]:
    """A simulated minute of a radio survey: noise like its beam, steady sources, interference, four bursts."""
    from tasks.search.simulated import write_night

    path = folder / "simulated_radio_night.fits"
    if not path.exists():
        write_night(path)
    return [f"{path}: simulated radio image cube with four bursts (marked as simulated)"]


def plan(params: SearchParams) -> dict[str, Any]:
    """Tiles, bytes, memory per worker and seconds of the search, from past searches or a small timed sample."""
    from flows._search_plan import foretell

    return foretell(params)


@flow(name="search")
def search(params: SearchParams) -> RunSummary:
    """Find dispersed pulses in the image cube at ``params.source``; publish candidates, cutouts, flags and pictures."""
    params = with_product(params, "radio_cube")
    with recorded("search", params) as run:
        if run.repeated:
            return run.summary
        from tasks.search import steps
        from tasks.search.find import make_plan

        seen = steps.observe(run.use("source"), params)
        plan = make_plan(seen.shape, seen.freqs, seen.dt, params.threshold, params.dm_max, params.width_max)
        with cluster():
            sigma, beam = steps.scan(seen)
            baseline, flags = steps.create_arrays(run.create, seen, params.tile)
            weights = steps.calibrate(run.create, seen, baseline, flags, sigma)
            plan = steps.with_weights(plan, weights)
            events = steps.hunt_all(seen, baseline, flags, plan, weights)
            frame, cutouts = steps.look_closer(seen, baseline, flags, plan, weights, events, beam, params.cutouts)
        steps.publish(run, seen, plan, weights, frame, cutouts, flags)
    return run.summary

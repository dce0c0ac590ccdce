"""Measure what the search finds: simulated pulses in real data, found or not."""

from prefect import flow
from pydantic import Field

from flows._cluster import cluster
from flows._sources import with_product
from flows.search import SearchParams
from storage.runs import recorded
from storage.summary import RunSummary


class InjectionParams(SearchParams):
    """A search, and the pulses to add before it."""

    n: int = Field(64, ge=2, le=4096, description="pulses to draw; those that would overlap are left out")
    seed: int = Field(0, ge=0, lt=2**31, description="seed of the Sobol sequence")
    first: int | None = Field(
        0,
        ge=0,
        le=2**24,
        description="point of the sequence to begin with; empty goes on behind all pulses drawn so far with this seed",
    )
    snr_min: float = Field(5.0, gt=0, description="faintest pulse, as the S/N of an ideal search")
    snr_max: float = Field(20.0, gt=0, description="brightest pulse, as the S/N of an ideal search")
    width_min_s: float = Field(0.1, gt=0, description="shortest pulse [s]")
    width_max_s: float = Field(5.0, gt=0, description="longest pulse [s]")
    beam: float | None = Field(None, gt=0, description="beam width of the pulses [px]; empty: as the noise shows it")


@flow(name="injection")
def injection(params: InjectionParams) -> RunSummary:
    """Add simulated pulses to the cube at ``params.source``, search it, publish the completeness and every pulse's fate."""
    params = _continued(with_product(params, "radio_cube"))
    with recorded("injection", params) as run:
        if run.repeated:
            return run.summary
        from tasks.search import steps
        from tasks.search.find import make_plan

        seen = steps.observe(run.use("source"), params)
        with cluster():
            sigma, beam = steps.scan(seen)
            pulses = steps.draw_pulses(seen, params, sigma, beam)
            changed = steps.inject(run.create, seen, pulses, params.beam or params.psf_fwhm or beam, params.tile)
            plan = make_plan(seen.shape, seen.freqs, seen.dt, params.threshold, params.dm_max, params.width_max)
            baseline, flags = steps.create_arrays(run.create, changed, params.tile)
            weights = steps.calibrate(run.create, changed, baseline, flags, sigma)
            plan = steps.with_weights(plan, weights)
            events = steps.hunt_all(changed, baseline, flags, plan, weights)
            frame, cutouts = steps.look_closer(changed, baseline, flags, plan, weights, events, beam, params.cutouts)
        steps.publish_injections(run, seen, pulses, frame, cutouts)
    return run.summary


def _continued(params: InjectionParams) -> InjectionParams:
    """The same with the point of the sequence filled in; before the run opens, because it is part of what identifies it."""
    from storage.search import next_sobol_index

    return params if params.first is not None else params.model_copy(update={"first": next_sobol_index(params.seed)})

"""Add simulated pulses to a stored cube; publish what became of each."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from prefect import task

from storage import search as layouts
from storage.digest import digest_json
from storage.layout import Layout, variable
from storage.product import Product
from storage.runs import RecordedRun
from tasks.array.tiling import Tile, tiles
from tasks.search.cutouts import Cutout
from tasks.search.injection import Injected, Ranges, add_pulses, completeness, draw, matches
from tasks.search.plots import completeness_picture
from tasks.search.steps.observation import Observation
from tasks.search.steps.publishing import Field, located, publish_candidates
from tasks.stage import run_stage

SNR_EDGES = np.array([0, 5, 6, 7, 8, 9, 10, 12, 15, 20, 1e9])


def draw_pulses(seen: Observation, params: Any, sigma: list[np.ndarray], beam: float) -> list[Injected]:
    """Pulses for the whole observation, as bright as its noise asks for."""
    noise = np.median(np.array(sigma), 0)  # of the filtered images where there is a filter: the amplitude's own noise
    ranges = Ranges((params.snr_min, params.snr_max), params.dm_max, (params.width_min_s, params.width_max_s))
    return draw(
        params.n, params.seed, seen.shape, seen.freqs, seen.dt, noise, params.beam or beam, ranges, params.first
    )


def inject(
    create: Callable[..., Product], seen: Observation, pulses: list[Injected], beam: float, tile: int
) -> Observation:
    """The observation with pulses added to it, in a scratch cube."""
    target = create("injected", layouts.injected(seen.shape, tile))
    inject_all(seen, target, pulses, beam)
    return replace(seen, cube=target)


@task
def inject_all(seen: Observation, target: Product, pulses: list[Injected], beam: float) -> None:
    """Copy the cube and add the pulses."""
    run_stage(inject_tile, tiles(seen.shape, target.grid), seen, target, pulses, beam)


def inject_tile(tile: Tile, seen: Observation, target: Product, pulses: list[Injected], beam: float) -> dict:
    """Copy one tile and add the pulses that touch it."""
    values = seen.cube.read(tile.core)
    valid = seen.cube["valid"].read(tile.core) if "valid" in seen.cube else np.ones(values.shape, bool)
    corner = (tile.core[0].start, tile.core[2].start, tile.core[3].start)
    target.write(tile.core, add_pulses(values, pulses, seen.freqs, seen.dt, beam, corner))
    target["valid"].write(tile.core, valid)
    return {}


def publish_injections(
    run: RecordedRun, seen: Observation, pulses: list[Injected], frame: pd.DataFrame, cutouts: list[Cutout]
) -> None:
    """The completeness as an array and a picture; truth rows, and the candidates that the pulses became."""
    scale = Field.of(seen.cube).scale
    pulses = [replace(p, amplitude=p.amplitude * scale) for p in pulses]
    chosen = matches(pulses, frame, seen.freqs, seen.dt)
    found = np.array([k is not None for k in chosen])
    _publish_completeness(run, pulses, found)
    ids = _publish_found(run, seen, frame.loc[sorted(k for k in chosen if k is not None)], cutouts)
    run.add_rows(*(_row(run, n, p, frame, k, ids.get(k)) for n, (p, k) in enumerate(zip(pulses, chosen, strict=True))))
    bright = np.array([p.ideal_snr >= 8 for p in pulses])
    ratios = [frame["snr"][k] / p.ideal_snr for p, k in zip(pulses, chosen, strict=True) if k is not None]
    run.record(
        n_injected=len(pulses),
        n_found=int(found.sum()),
        n_other_candidates=len(frame) - int(found.sum()),
        completeness_snr_8=float(found[bright].mean()) if bright.any() else np.nan,
        recovered_over_ideal=float(np.median(ratios)) if ratios else np.nan,
    )


def _publish_found(run: RecordedRun, seen: Observation, frame: pd.DataFrame, cutouts: list[Cutout]) -> dict[Any, str]:
    """Candidates and cutouts of the pulses that were found; all others are the search's own to publish_injections."""
    table = located(frame.reset_index(drop=True), Field.of(seen.cube), run.params).assign(simulated=True)
    kept = [cutouts[k] for k in frame.index if k < len(cutouts)]
    return dict(zip(frame.index, publish_candidates(run, table, kept, seen.freqs), strict=True))


def _publish_completeness(run: RecordedRun, pulses: list[Injected], found: np.ndarray) -> None:
    axes = {
        "ideal_snr": (np.array([p.ideal_snr for p in pulses]), SNR_EDGES),
        "dm": _binned([p.dm for p in pulses]),
        "width_s": _binned([p.width for p in pulses]),
        "fluence": _binned([p.fluence for p in pulses]),
    }
    curves = {name: (edges, completeness(values, found, edges)) for name, (values, edges) in axes.items()}
    product = run.create("completeness", _layout(curves))
    for name, (edges, curve) in curves.items():
        product[f"{name}_edges"].write((slice(0, len(edges)),), edges)
        for key, values in curve.items():
            product[f"{name}_{key}"].write((slice(0, len(values)),), np.asarray(values, np.float64))
    run.publish(product)
    run.save("completeness.png", completeness_picture(curves), kind="picture")


def _binned(values: list[float]) -> tuple[np.ndarray, np.ndarray]:
    edges = np.unique(np.quantile(values, np.linspace(0, 1, 9))) if values else np.array([0.0])
    return np.array(values), edges if len(edges) > 1 else np.array([edges[0], edges[0] + 1])


def _row(
    run: RecordedRun, n: int, pulse: Injected, frame: pd.DataFrame, label: Any, candidate: str | None
) -> layouts.Injection:
    return layouts.Injection(
        id=digest_json([run.id, n, pulse.time, pulse.dm])[:16],
        run_id=run.id,
        product_id=run.inputs["source"].product_id or "",
        number=n + 1,
        time_s=pulse.time,
        y=pulse.y,
        x=pulse.x,
        dm=pulse.dm,
        width_s=pulse.width,
        scattering_s=pulse.scattering,
        spectral_index=pulse.spectral_index,
        fluence=pulse.fluence,
        ideal_snr=pulse.ideal_snr,
        found=candidate is not None,
        snr=None if candidate is None else float(frame["snr"][label]),
        candidate_id=candidate,
        seed=run.params.seed,  # type: ignore[attr-defined]
        sobol_index=pulse.index,
    )


def _layout(curves: dict) -> Layout:
    arrays = {}
    for name, (edges, curve) in curves.items():
        for key in curve:
            described = variable(
                (f"{name}_bin",), (len(edges) - 1,), "float64", long_name=f"{key} of pulses per bin of {name}"
            )
            arrays[f"{name}_{key}"] = described
        arrays[f"{name}_edges"] = variable(
            (f"{name}_edge",), (len(edges),), "float64", long_name=f"edges of the bins of {name}"
        )
    return Layout("completeness", arrays, {}, {"Conventions": "CF-1.11"})

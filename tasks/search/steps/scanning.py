"""Before anything else: rough noise and beam, from a few images of each stretch."""

import numpy as np
from prefect import task

from tasks.array.tiling import Tile, tiles
from tasks.search.calibration import stretches
from tasks.search.noise import rough_beam, rough_sigma, scan_times
from tasks.search.steps.observation import Observation
from tasks.stage import run_stage


@task
def scan(seen: Observation) -> tuple[list[np.ndarray], float]:
    """Rough noise (channel,) of each stretch, and the FWHM of the noise's correlation [pixels]."""
    n = len(stretches(seen.shape[0]))
    records = run_stage(scan_stretch, tiles((n + 1,), (1,)), seen, splits=False).records
    return [np.array(r["sigma"]) for r in records[:n]], records[n]["beam"]


def scan_stretch(tile: Tile, seen: Observation) -> dict:
    """Noise and beam from the few images that `scan_times` names; the last tile looks at the whole observation."""
    parts = [*stretches(seen.shape[0]), slice(0, seen.shape[0])]
    part = parts[tile.core[0].start]
    chosen = scan_times(part.stop - part.start) + part.start
    runs = np.split(chosen, np.flatnonzero(np.diff(chosen) > 1) + 1)
    whole = slice(0, seen.shape[2]), slice(0, seen.shape[3])
    read = [seen.read(slice(int(r[0]), int(r[-1]) + 1), *whole) for r in runs]
    values, valid = (np.concatenate(each) for each in zip(*read, strict=True))
    images, used = values.reshape(-1, *seen.shape[1:]), np.asarray(valid.any(2))
    return {"sigma": rough_sigma(images, used).tolist(), "beam": rough_beam(images, used)}

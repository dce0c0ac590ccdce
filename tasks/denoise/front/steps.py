"""The stages before any sum over pixels: masks, bands, a look at a sample, outliers and stripes mended."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from prefect import task

from storage import denoise as layouts
from storage.product import Product
from tasks.array.namespace import to_device, to_host
from tasks.array.tiling import Tile, tiles
from tasks.denoise.automatic import Diagnosis, diagnose
from tasks.denoise.bands import named_bands
from tasks.denoise.blocks import read_block
from tasks.denoise.checks import full_mask, usable_bands
from tasks.denoise.robust import RobustModel, fit_robust, mend, sample_sigma
from tasks.denoise.sample import sample_lines
from tasks.stage import StageReport, run_stage


@task
def combine_masks(noisy: Product, given: Product | Path, mask: Product) -> Product:
    """``noisy`` with a person's mask (y, x), (band,) or (y, x, band), True = valid, beside its own."""
    full_mask(given_mask(given), noisy.shape)  # one sentence here, not one per tile
    run_stage(mask_tile, tiles(mask.shape[:2], mask.grid[:2]), noisy, given, mask)
    return layouts.MaskedCube(noisy.uri, noisy.variable, mask)


def mask_tile(tile: Tile, noisy: Product, given: Product | Path, mask: Product) -> dict:
    """Both masks of one tile."""
    region = (*tile.core, slice(0, noisy.shape[2]))
    valid = np.array(full_mask(given_mask(given), noisy.shape)[region])
    if "valid" in noisy:
        valid &= noisy["valid"].read(region)
    mask.write(region, valid)
    return {"valid": int(valid.sum())}


def given_mask(given: Product | Path) -> np.ndarray:
    """The mask in a product (its ``valid``), or in a NumPy file, of which only what is used is read."""
    if isinstance(given, Product):
        if "valid" not in given:
            raise ValueError(f"{given.uri} holds no array called valid, expected a mask; give a cube or a .npy file")
        return given["valid"].read()
    try:
        return np.load(given, mmap_mode="r")
    except ValueError as error:
        raise ValueError(f"{given} is no array of NumPy, expected a .npy file of booleans; np.save the mask") from error


@task
def choose_bands(noisy: Product, named: str | None = None) -> np.ndarray:
    """The bands to use: named (or all), not called bad by the file, and valid at most pixels."""
    bands = np.ones(noisy.shape[2], bool)
    if named is not None:
        in_nm = "band" in noisy and noisy["band"].attrs.get("units") == "nm"
        bands &= named_bands(named, len(bands), noisy["band"].read() if in_nm else None)
    if "bad_bands" in noisy:
        bands &= ~noisy["bad_bands"].read().astype(bool)
    if "valid" in noisy:
        report = run_stage(count_valid, tiles(noisy.shape[:2], noisy.grid[:2]), noisy)
        bands &= usable_bands(np.sum(report.records, axis=0))
    if not bands.any():
        raise ValueError("no band is left to use, expected at least one; check the mask, the bands and the bad bands")
    return bands


def count_valid(tile: Tile, noisy: Product) -> list[int]:
    """Number of valid samples of each band in one tile."""
    return noisy["valid"].read((*tile.core, slice(None))).sum((0, 1)).tolist()


def measure_noise(cube: Product) -> None:
    """Fill ``sigma`` of a raw cube: the noise of each band in a sample of the scene."""
    sample, valid = sample_of(cube)
    marks = np.ones(sample.shape, bool) if valid is None else valid
    cube["sigma"].write((slice(0, sample.shape[2]),), sample_sigma(sample, marks))


@task
def look(noisy: Product, bands: np.ndarray) -> tuple[RobustModel, Diagnosis]:
    """Pass 0, first half: fit the robust model to a sample of the scene and say what kind of noise it has."""
    sample, valid = sample_of(noisy)
    model = fit_robust(sample, valid, bands)
    return model, diagnose(sample, valid, model)


def sample_of(noisy: Product) -> tuple[np.ndarray, np.ndarray | None]:
    """The sample of a stored cube, and which of it is valid (None where all is)."""
    rows, columns = sample_lines((noisy.shape[0], noisy.shape[1]))
    groups = np.split(columns, np.flatnonzero(np.diff(columns) > 1) + 1)
    with ThreadPoolExecutor() as pool:  # the workers have nothing to do yet, and decoding leaves the interpreter free
        blocks = list(pool.map(lambda g: read_block(noisy, (slice(0, noisy.shape[0]), slice(g[0], g[-1] + 1))), groups))
    sample = np.concatenate([block[rows] for block, _ in blocks], axis=1)
    marks = np.concatenate([np.ones_like(b[rows], bool) if v is None else v[rows] for b, v in blocks], axis=1)
    return sample, None if marks.all() else marks


@task
def mend_scene(noisy: Product, mended: Product, outliers: Product, model: RobustModel) -> StageReport:
    """Pass 0, second half: outliers and stripes mended, strip of columns by strip of columns."""
    return run_stage(mend_tile, tiles(mended.shape[:2], mended.grid[:2]), noisy, mended, outliers, model, splits=False)


def mend_tile(tile: Tile, noisy: Product, mended: Product, outliers: Product, model: RobustModel) -> dict:
    """Mend one strip of whole columns."""
    block, valid = read_block(noisy, tile.core)
    found = mend(to_device(block), None if valid is None else to_device(valid), model)
    region = (*tile.core, slice(0, block.shape[2]))
    mended.write(region, to_host(found.cube))
    outliers.write(region, to_host(found.outlier))
    return {
        "outliers": int(found.outlier.sum()),
        "striped": int((found.offset != 0).sum()),
        "dead": int(found.dead.sum()),
        "rare": int(found.rare.sum()),
    }

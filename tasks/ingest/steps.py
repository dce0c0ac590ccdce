"""The stage of ingestion: every tile is read from the file and written to the product by the worker that owns it."""

from prefect import task

from storage.product import Product
from storage.turns import aside
from tasks.array.tiling import Tile, tiles
from tasks.ingest.source import Source
from tasks.ingest.survey import Survey, surveyed, tile_record
from tasks.stage import run_stage


@task
def copy_cube(source: Source, cube: Product) -> Survey:
    """Write every tile of ``cube`` and its mask; tell what the values look like."""
    report = run_stage(copy_tile, tiles(cube.shape, cube.grid), source.slim(), cube)
    return surveyed(report.records)


def copy_tile(tile: Tile, source: Source, cube: Product) -> dict:
    """Copy the core of one tile from the file to the product.

    Safe to repeat: the same file gives the same values.
    """
    with aside():
        values, valid = source.read(tile.core)
    cube.write(tile.core, values)
    cube["valid"].write(tile.core, valid)
    dims = source.header.dims
    return tile_record(values, valid, dims.index("band") if "band" in dims else dims.index("channel"))

"""From a file of any known format to a Zarr product with units, coordinates and a mask."""

from importlib.util import find_spec
from pathlib import Path
from shutil import copyfile
from typing import TYPE_CHECKING, Any

from prefect import flow
from pydantic import Field

from flows._cluster import cluster
from storage.errors import BadInputError
from storage.parameters import Parameters
from storage.runs import recorded
from storage.sources import readable_path
from storage.summary import RunSummary

if TYPE_CHECKING:
    from tasks.ingest import Source


class IngestParams(Parameters):
    """The file, and what the file itself says wrongly or not at all."""

    source: str = Field(
        description="file or Zarr folder: ENVI, NumPy, Zarr, HDF5, NetCDF, MATLAB, GeoTIFF, FITS, filterbank"
    )
    variable: str | None = Field(None, description="name of the array, where a file holds several")
    axes: str | None = Field(
        None, description="names of the file's axes in order, such as 'band y x', where the guess is wrong"
    )
    scale: float | None = Field(None, description="value = stored * scale + offset; empty: as the file says")
    offset: float | None = Field(None, description="see scale; empty: as the file says")
    nodata: float | None = Field(None, description="stored number that means no data; empty: as the file says")
    tile: int = Field(256, ge=1, le=8192, description="edge of a tile [px]; made smaller where a tile would pass 64 MB")

    def inputs(self) -> dict[str, list[str]]:
        """The file and all that belong to it (an ENVI image and its header).

        The header is read here already, so that a file which cannot be used is refused before a run begins.
        """
        from tasks.ingest import files_of

        readable_path(self.source)  # before any byte is read: an error would quote the file's beginning
        self.opened()
        return {"source": [str(path) for path in files_of(self.source)]}

    def opened(self) -> "Source":
        """The cube, with what the parameters put right."""
        from tasks.ingest import open_source

        source = open_source(self.source, self.variable)
        return source.corrected(self.axes, self.scale, self.offset, self.nodata)


def accepts(path: Path) -> bool:
    """Whether some reader knows the content of ``path``."""
    from tasks.ingest import is_known

    return is_known(path)


def describe(path: Path) -> dict[str, Any]:
    """What ``path`` is, how it would be read and what is wrong with it, for `nightloom doctor FILE`."""
    from tasks.ingest import describe as look

    return look(path)


def sample(folder: Path) -> list[str]:
    """The AVIRIS scene Indian Pines (145 x 145 pixels, 200 bands), from the package that carries it."""
    package = find_spec("tensorly")
    if package is None or package.origin is None:
        return []
    scene = Path(package.origin).parent / "datasets" / "data" / "Indian_pines_corrected.npy"
    target = folder / "indian_pines.npy"
    if not scene.exists():
        return []
    if not target.exists():
        copyfile(scene, target)
    return [f"{target}: AVIRIS scene Indian Pines, 145 x 145 pixels, 200 bands"]


def plan(params: IngestParams) -> dict[str, Any]:
    """Tiles, bytes and memory of the copy, from the file's header alone."""
    from flows._plan import tiled
    from storage import ingest as layouts
    from tasks.ingest import open_source

    source = open_source(params.source, params.variable)
    header = source.corrected(params.axes, params.scale, params.offset, params.nodata).header
    described = getattr(layouts, header.kind)(header, params.tile, source_format=header.format)
    cube = described.variables[described.main]
    return {"kind": header.kind, **tiled(cube.shape, cube.cell, header.dtype.itemsize)}


@flow(name="ingest")
def ingest(params: IngestParams) -> RunSummary:
    """Copy a cube from a file into the store, with wavelengths in nm, units, place and a mask of what can be trusted."""
    with recorded("ingest", params) as run:
        if run.repeated:
            return run.summary
        from storage import ingest as layouts
        from tasks.denoise.front.steps import measure_noise
        from tasks.ingest.steps import copy_cube

        source = params.opened()
        header = source.header
        described = getattr(layouts, header.kind)(header, params.tile, source_format=header.format)
        cube = run.create(header.kind, described)
        with cluster():
            survey = copy_cube(source, cube)
        if not survey.valid_fraction:
            raise BadInputError(
                f"{Path(params.source).name!r}: none of its {survey.n_values} values is valid (NaN, nodata or masked); "
                "check the file, or give nodata"
            )
        if "sigma" in cube:
            measure_noise(cube)
        run.record(valid_fraction=survey.valid_fraction, n_constant_bands=len(survey.constant))
        run.report(format=header.format, notes=[*header.notes, *survey.notes()])
        run.publish(cube)
    return run.summary

"""Products: addresses of stored arrays, and the one guard that keeps two writers out of one shard."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any, TypeVar

import numpy as np
import zarr
from zarr.codecs import BloscCodec

from storage import writes
from storage.boxes import Region
from storage.errors import BadPiecesError, RegionNotAlignedError, StoreError
from storage.growing import Writing
from storage.layout import Coordinate, Layout, Variable
from storage.shards import Shards
from storage.stores import is_local, one_sentence, open_group, open_store, persistently, remove
from storage.turns import aside

T = TypeVar("T")

# A shard full of zeros is stored like any other, so that a missing file always means a missing shard.
zarr.config.set({"array.write_empty_chunks": True})

COMPRESSORS = {
    "zstd": (BloscCodec(cname="zstd", clevel=1, shuffle="bitshuffle"),),
    "lz4": (BloscCodec(cname="lz4", clevel=5, shuffle="bitshuffle"),),
    "raw": (),
}


@dataclass(frozen=True)
class Product:
    """Address of one stored array in its group; holds no data, so it is cheap to send about."""

    uri: str
    variable: str = "cube"

    def __getitem__(self, variable: str) -> "Product":
        """The array called ``variable`` in the same group."""
        return replace(self, variable=variable)

    def __contains__(self, variable: str) -> bool:
        return _holds(self.uri, variable)

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""
        return self._open("r").shape

    @property
    def dtype(self) -> np.dtype:
        """Type of the values."""
        return self._open("r").dtype

    @property
    def dims(self) -> tuple[str, ...]:
        """Name of each axis."""
        return tuple(name or "" for name in self._open("r").metadata.dimension_names or ())

    @property
    def grid(self) -> tuple[int, ...]:
        """Smallest region one writer may own: a shard, or a chunk if unsharded."""
        array = self._open("r")
        return array.shards or array.chunks

    @property
    def rows(self) -> int:
        """Rows of one chunk along the first axis."""
        return self._open("r").chunks[0]

    @property
    def attrs(self) -> Mapping[str, Any]:
        """Attributes of the array."""
        return self._open("r").attrs.asdict()

    @property
    def group_attrs(self) -> Mapping[str, Any]:
        """Attributes of the group: kind, provenance, units of the whole."""
        return open_group(self.uri).attrs.asdict()

    def read(self, region: Region | None = None) -> np.ndarray:
        """Return the values of ``region`` (default: all), in host memory."""
        array, shards = self._open("r"), _shards(self.uri, self.variable)
        with aside(), one_sentence(f"{self.uri} could not be read"):
            if shards and (told := _told(region, array.shape)):
                return shards.read(told)
            return np.asarray(persistently(self.uri, lambda: array[... if region is None else region]))

    def write(self, region: Region, values: np.ndarray) -> None:
        """Replace ``region``, which must cover whole cells of `grid`."""
        with self.writing(region) as put:
            put(region, values)

    @contextmanager
    def writing(self, region: Region) -> Iterator[Callable[[Region, np.ndarray], None]]:
        """Replace ``region``, which must cover whole cells of `grid`, part by part: ``put(part, values)``.

        Parts come in order, each a multiple of the chunks' rows (`rows`) or the last, over the whole of the other axes. Readers
        see nothing of them before the end.
        """
        if (assembly := writes.assembling()) is not None:
            yield partial(assembly.put, self)
            return
        self._refuse_shared_cells(region)
        if shards := _shards(self.uri, self.variable):
            with closing(Writing(shards, region)) as writing:
                yield partial(self._storing, writing.put)
                writes.known(self._storing(writing.finish))
            return
        gathered = writes.Assembly()
        yield partial(gathered.put, self)
        whole = gathered.whole(self)
        if whole.region != region:
            raise BadPiecesError(
                f"{self.uri}/{self.variable}: {whole.region} of {region} were given; write all of its rows"
            )
        self._storing(self._replace, region, whole.values)

    def _replace(self, region: Region, values: np.ndarray) -> None:
        array = self._open("r+")
        persistently(self.uri, lambda: array.set_basic_selection(region, values))
        writes.note(self.uri, array, region, values)

    def _storing(self, action: Callable[..., T], *args: Any) -> T:
        """Do what writes, while another tile may compute."""
        with aside(), one_sentence(f"{self.uri} could not be written"):
            return action(*args)

    def _refuse_shared_cells(self, region: Region) -> None:
        grid, shape = self.grid, self.shape
        if len(region) != len(shape):
            raise RegionNotAlignedError(
                f"{self.uri}: a region of {len(region)} axes was given, {len(shape)} were expected"
            )
        for s, cell, size in zip(region, grid, shape, strict=True):
            if s.start % cell or (s.stop % cell and s.stop != size) or not 0 <= s.start <= s.stop <= size:
                raise RegionNotAlignedError(
                    f"{self.uri}: {s.start}:{s.stop} must begin and end on a multiple "
                    f"of {cell}, or end at {size}; two writers would share a cell"
                )

    def _open(self, mode: str) -> zarr.Array:
        return _open_array(self.uri, self.variable, mode)


@lru_cache(maxsize=256)
def _open_array(uri: str, variable: str, mode: str) -> zarr.Array:
    try:
        return zarr.open_array(open_store(uri, read_only=mode == "r"), path=variable, mode=mode)
    except FileNotFoundError as error:
        raise StoreError(f"{uri} holds no array called {variable!r}; look at `nightloom products ls`") from error


@lru_cache(maxsize=256)
def _holds(uri: str, variable: str) -> bool:
    return variable in open_group(uri)


@lru_cache(maxsize=256)
def _shards(uri: str, variable: str) -> Shards | None:
    return Shards.of(uri, _open_array(uri, variable, "r")) if is_local(uri) else None


def _told(region: Region | None, shape: tuple[int, ...]) -> Region | None:
    """``region`` with every axis and both ends, as NumPy would take it; None where it is no plain box."""
    region = () if region is None else region
    if not all(isinstance(side, slice) and side.step in (None, 1) for side in region):
        return None
    whole = (*region, *[slice(None)] * (len(shape) - len(region)))
    ends = [side.indices(n)[:2] for side, n in zip(whole, shape, strict=True)]
    return tuple(slice(start, max(start, stop)) for start, stop in ends)


def create(uri: str, layout: Layout) -> Product:
    """Make the group described by ``layout`` at ``uri``, in place of whatever lies there; arrays are still empty."""
    remove(uri)
    for remembered in (_open_array, _holds, _shards):
        remembered.cache_clear()
    with one_sentence(f"{uri} could not be made"):
        persistently(uri, lambda: _create_all(uri, layout))
    return Product(uri, layout.main)


def _create_all(uri: str, layout: Layout) -> None:
    group = zarr.create_group(open_store(uri), overwrite=True, attributes={**layout.attrs, "kind": layout.kind})
    for name, described in layout.variables.items():
        _create_array(group, name, described, list(layout.coords))
    for name, coordinate in layout.coords.items():
        _write_coordinate(group, name, coordinate)


def _create_array(group: zarr.Group, name: str, described: Variable, coordinates: list[str]) -> None:
    sharded = described.cell != described.chunks
    extra = [c for c in coordinates if c not in described.dims]
    group.create_array(
        name,
        shape=described.shape,
        dtype=described.dtype,
        chunks=described.chunks,
        shards=described.cell if sharded else None,
        compressors=COMPRESSORS[described.codec],
        fill_value=described.fill_value,
        chunk_key_encoding={"name": "default", "separator": "." if described.flat else "/"},
        dimension_names=described.dims,
        attributes=dict(described.attrs) | ({"coordinates": " ".join(extra)} if extra else {}),
    )


def _write_coordinate(group: zarr.Group, name: str, coordinate: Coordinate) -> None:
    values = np.asarray(coordinate.values)
    array = group.create_array(
        name,
        shape=values.shape,
        dtype=values.dtype,
        chunks=tuple(max(1, n) for n in values.shape),
        dimension_names=coordinate.dims,
        attributes=dict(coordinate.attrs),
    )
    array[...] = values

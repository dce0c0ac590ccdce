"""One writer per shard; what is written is what is read, at every edge; a tile done in pieces leaves the same bytes."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import xarray
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from storage.errors import BadPiecesError, RegionNotAlignedError, StoreError
from storage.layout import CHUNK_BYTES, Coordinate, Layout, variable
from storage.product import Product, create
from storage.writes import assembled, collected
from tasks.array.tiling import tiles
from tasks.attempts import cut

quick = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def make(path, shape=(10, 7), cell=(4, 4), dtype="f4", **more) -> Product:
    dims = tuple("yxbt")[: len(shape)]
    return create(str(path), Layout("test", {"cube": variable(dims, shape, dtype, cell, **more)}))


@quick
@given(
    shape=st.lists(st.integers(1, 11), min_size=1, max_size=3),
    edge=st.integers(1, 8),
    dtype=st.sampled_from(["u1", "i2", "f4", "f8", "c8", "bool"]),
    codec=st.sampled_from(["zstd", "lz4", "raw"]),
    data=st.data(),
)
def test_what_is_written_tile_by_tile_is_what_is_read(tmp_path, shape, edge, dtype, codec, data):
    product = make(tmp_path / "p.zarr", shape, [edge] * len(shape), dtype, codec=codec)
    values = data.draw(arrays(dtype, tuple(shape)))
    for tile in tiles(shape, product.grid):
        product.write(tile.core, values[tile.core])
    np.testing.assert_array_equal(product.read(), values)
    inside = tuple(slice(0, max(1, n // 2)) for n in shape)
    np.testing.assert_array_equal(product.read(inside), values[inside])


@given(
    st.lists(st.integers(1, 3000), min_size=1, max_size=3), st.integers(1, 3000), st.sampled_from(["u1", "f4", "c16"])
)
def test_chunks_are_small_and_divide_the_cell(shape, edge, dtype):
    v = variable(["a", "b", "c"][: len(shape)], shape, dtype, [edge] * len(shape))
    assert np.prod(v.chunks) * np.dtype(dtype).itemsize <= CHUNK_BYTES
    assert all(cell % chunk == 0 for cell, chunk in zip(v.cell, v.chunks, strict=True))
    assert all(cell >= min(edge, n) for cell, n in zip(v.cell, shape, strict=True))


@pytest.mark.parametrize(
    "region",
    [
        (slice(1, 4), slice(0, 4)),  # begins inside a cell
        (slice(0, 3), slice(0, 4)),  # ends inside a cell
        (slice(0, 4), slice(4, 6)),  # ends before the edge
        (slice(8, 12), slice(0, 4)),  # past the edge
        (slice(-4, 4), slice(0, 4)),
        (slice(0, 4),),
    ],
)
def test_a_region_that_shares_a_cell_is_refused(tmp_path, region):
    product = make(tmp_path / "p.zarr")
    with pytest.raises(RegionNotAlignedError):
        product.write(region, np.zeros([abs(s.stop - s.start) for s in region], "f4"))
    assert not any((tmp_path / "p.zarr" / "cube").rglob("c/*"))


def test_a_shard_full_of_the_fill_value_is_stored_all_the_same(tmp_path):
    product = make(tmp_path / "p.zarr")
    with collected() as written:
        product.write((slice(0, 4), slice(0, 4)), np.zeros((4, 4), "f4"))
    assert [(tmp_path / "p.zarr" / w.file).stat().st_size for w in written] == [w.bytes for w in written]


def test_a_write_reports_every_shard_and_its_finite_values(tmp_path):
    product = make(tmp_path / "p.zarr")
    values = np.ones((10, 7), "f4")
    values[0, 0] = np.nan
    with collected() as written:
        product.write((slice(0, 10), slice(0, 7)), values)
    assert len(written) == 6
    assert sum(w.values for w in written) == 70
    assert sum(w.finite for w in written) == 69


def test_a_large_cell_is_one_file_of_small_chunks(tmp_path):
    product = make(tmp_path / "p.zarr", (2048, 2048), (2048, 1024), "f4")
    product.write((slice(0, 2048), slice(0, 1024)), np.ones((2048, 1024), "f4"))
    stored = [p for p in (tmp_path / "p.zarr/cube/c").rglob("*") if p.is_file()]
    assert len(stored) == 1
    assert product.grid == (2048, 1024)


@quick
@given(
    shape=st.lists(st.integers(1, 9), min_size=2, max_size=2),
    edge=st.integers(1, 9),
    count=st.sampled_from([1, 2, 4, 8, 64]),
)
def test_a_tile_in_pieces_leaves_the_same_bytes(tmp_path, shape, edge, count):
    values = np.arange(np.prod(shape) * 3, dtype="f4").reshape(*shape, 3)
    whole, parts = (make(tmp_path / name, (*shape, 3), (edge, edge, 3)) for name in ("whole.zarr", "parts.zarr"))
    for tile in tiles(shape, whole.grid[:2]):
        whole.write((*tile.core, slice(0, 3)), values[tile.core])
        with assembled():
            for piece in cut(tile, count):
                parts.write((*piece.core, slice(0, 3)), values[piece.core])
    assert contents(whole.uri) == contents(parts.uri)


def test_pieces_may_write_to_arrays_of_other_shapes(tmp_path):
    """A mask (y, x) beside a cube (y, x, band): each array gathers its own region."""
    cube, mask = make(tmp_path / "c.zarr", (8, 8, 2), (8, 8, 2)), make(tmp_path / "m.zarr", (8, 8), (8, 8), "bool")
    (tile,) = tiles((8, 8), (8, 8))
    with assembled():
        for piece in cut(tile, 4):
            cube.write((*piece.core, slice(0, 2)), np.ones([s.stop - s.start for s in piece.core] + [2]))
            mask.write(piece.core, np.ones([s.stop - s.start for s in piece.core], bool))
    assert cube.read().all()
    assert mask.read().all()


def test_pieces_that_write_one_cell_twice_are_refused(tmp_path):
    """A step that adds up its tile into one cell cannot be done in pieces: the last piece would win."""
    sums = make(tmp_path / "s.zarr", (4,), (1,))
    with pytest.raises(BadPiecesError, match="splits=False"), assembled():
        for piece in cut(tiles((8, 8), (8, 8))[0], 2):
            sums.write((slice(2, 3),), np.array([float(piece.core[0].start)]))
    assert not sums.read().any()


def test_nothing_is_written_when_a_piece_fails(tmp_path):
    product = make(tmp_path / "p.zarr")
    with pytest.raises(MemoryError), assembled():
        product.write((slice(0, 2), slice(0, 4)), np.ones((2, 4)))
        raise MemoryError
    assert not product.read().any()


def test_xarray_opens_it_with_coordinates_units_and_names(tmp_path):
    layout = Layout(
        "raw_cube",
        {
            "cube": variable(("y", "x", "band"), (4, 5, 3), "f4", units="DN", long_name="radiance"),
            "valid": variable(("y", "x"), (4, 5), "bool", fill_value=True),
        },
        {
            "band": Coordinate(("band",), np.array([400.0, 500, 600]), {"units": "nm"}),
            "crs": Coordinate((), np.int32(4326)),
        },
        {"title": "a scene"},
    )
    create(str(tmp_path / "p.zarr"), layout)
    opened = xarray.open_zarr(tmp_path / "p.zarr", consolidated=False)
    assert opened.cube.dims == ("y", "x", "band")
    assert opened.cube.attrs["units"] == "DN"
    assert opened.band.values.tolist() == [400, 500, 600]
    assert opened.band.attrs["units"] == "nm"
    assert opened.valid.values.all()
    assert (opened.attrs["kind"], opened.attrs["title"]) == ("raw_cube", "a scene")
    assert "crs" in opened.coords


def test_a_product_is_cheap_to_send_about(tmp_path):
    product = make(tmp_path / "p.zarr")
    product.read()
    again = pickle.loads(pickle.dumps(product))
    assert again == product
    assert len(pickle.dumps(product)) < 500
    assert again["cube"].shape == (10, 7)
    assert "cube" in again
    assert "other" not in again


def test_a_missing_array_is_named(tmp_path):
    with pytest.raises(StoreError, match="holds no array called 'other'"):
        make(tmp_path / "p.zarr")["other"].read()


def test_an_array_without_samples_can_be_made_and_read(tmp_path):
    assert make(tmp_path / "p.zarr", (0, 3), (1, 3)).read().shape == (0, 3)


@pytest.mark.parametrize("number", [28, 30])  # no space left, read-only file system
def test_a_store_that_cannot_be_written_gives_one_sentence(tmp_path, monkeypatch, number):
    product = make(tmp_path / "p.zarr")

    def refuse(*_args, **_kwargs):
        raise OSError(number, "")

    monkeypatch.setattr("zarr.storage._local._put", refuse)
    with pytest.raises(StoreError, match=r"could not be written: .*; free space or check rights"):
        product.write((slice(0, 4), slice(0, 4)), np.ones((4, 4)))
    with pytest.raises(StoreError, match="could not be made"):
        make(tmp_path / "q.zarr")


def contents(uri: str) -> dict[str, bytes]:
    return {str(p.relative_to(uri)): p.read_bytes() for p in sorted(Path(uri).rglob("*")) if p.is_file()}

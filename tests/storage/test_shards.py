"""Shards read and written chunk by chunk: zarr-python reads what is written here, and the other way round, at every edge."""

import tracemalloc

import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from storage.errors import BadPiecesError, StoreError
from storage.growing import Writing
from storage.layout import Layout, Variable
from storage.product import Product, create
from storage.shards import Shards
from storage.writes import collected

quick = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

CODECS = {
    "lz4": zarr.codecs.BloscCodec(cname="lz4", clevel=5, shuffle="bitshuffle"),
    "zstd": zarr.codecs.BloscCodec(cname="zstd", clevel=1, shuffle="shuffle"),
    "raw": None,
}


def make(path, shape, chunk, n_chunk, dtype="f4", codec="lz4", fill=0, **more) -> tuple[zarr.Array, Shards | None]:
    group = zarr.create_group(str(path), overwrite=True)
    array = group.create_array(
        "cube", shape=shape, dtype=dtype, chunks=chunk, shards=tuple(c * n for c, n in zip(chunk, n_chunk, strict=True)),
        compressors=CODECS[codec], fill_value=fill, **more,
    )  # fmt: skip
    return array, Shards.of(str(path), zarr.open_array(str(path), path="cube", mode="r"))


@st.composite
def described(draw):
    n = draw(st.integers(1, 3))
    shape = draw(st.tuples(*[st.integers(1, 9)] * n))
    chunk = draw(st.tuples(*[st.integers(1, 3)] * n))
    return shape, chunk, draw(st.tuples(*[st.integers(1, 3)] * n))


def boxes(data, shape):
    ends = [sorted(data.draw(st.tuples(st.integers(0, n), st.integers(0, n)))) for n in shape]
    return tuple(slice(start, stop) for start, stop in ends)


@quick
@given(
    sizes=described(),
    dtype=st.sampled_from(["u1", "i2", "f4", "f8", "c8", "bool"]),
    codec=st.sampled_from(sorted(CODECS)),
    data=st.data(),
)
def test_each_reads_what_the_other_wrote(tmp_path, sizes, dtype, codec, data):
    shape, chunk, n_chunk = sizes
    array, shards = make(tmp_path / "p.zarr", shape, chunk, n_chunk, dtype, codec)
    values = data.draw(arrays(dtype, shape))
    array[...] = values
    region = boxes(data, shape)
    np.testing.assert_array_equal(shards.read(region), values[region])
    other = data.draw(arrays(dtype, shape))
    write(shards, other)
    np.testing.assert_array_equal(array[...], other)


def write(shards: Shards, values: np.ndarray, rows: int | None = None) -> list:
    """All of an array, some rows at a time."""
    writing = Writing(shards, tuple(slice(0, n) for n in values.shape))
    for start in range(0, len(values), rows or len(values)):
        stop = min(start + (rows or len(values)), len(values))
        writing.put((slice(start, stop), *(slice(0, n) for n in values.shape[1:])), values[start:stop])
    return writing.finish()


@pytest.mark.parametrize("rows", [2, 4, 6, 100])
def test_the_bytes_do_not_depend_on_the_parts(tmp_path, rows):
    values = np.random.default_rng(0).standard_normal((11, 7, 3)).astype("f4")
    values[3, 2, 1] = np.nan
    _, shards = make(tmp_path / "p.zarr", values.shape, (2, 3, 3), (3, 2, 1))
    whole, parts = write(shards, values), write(shards, values, rows)
    assert whole == parts
    assert sum(record.finite for record in parts) == values.size - 1
    assert sum(record.values for record in parts) == values.size


def test_a_file_that_is_not_there_and_a_chunk_never_written_hold_the_fill_value(tmp_path):
    array, shards = make(tmp_path / "p.zarr", (8, 8), (2, 2), (2, 2), fill=7, config={"write_empty_chunks": False})
    array[:2, :2] = 1
    expected = np.full((8, 8), 7.0)
    expected[:2, :2] = 1
    np.testing.assert_array_equal(shards.read((slice(0, 8), slice(0, 8))), expected)


def test_nothing_is_visible_of_what_was_not_finished(tmp_path):
    _, shards = make(tmp_path / "p.zarr", (8, 4), (2, 2), (2, 2))
    write(shards, np.ones((8, 4)))
    writing = Writing(shards, (slice(0, 8), slice(0, 4)))
    writing.put((slice(0, 4), slice(0, 4)), np.zeros((4, 4)))
    assert (shards.read((slice(0, 8), slice(0, 4))) == 1).all()
    with pytest.raises(ValueError, match=r"0 of 16 values were given; write all of its rows"):
        writing.finish()
    writing.close()
    assert not list(tmp_path.rglob("*.partial"))


@pytest.mark.parametrize("start", [0, 1, 4])
def test_rows_out_of_turn_are_refused(tmp_path, start):
    _, shards = make(tmp_path / "p.zarr", (8, 4), (2, 2), (4, 2))
    writing = Writing(shards, (slice(0, 8), slice(0, 4)))
    writing.put((slice(0, 2), slice(0, 4)), np.zeros((2, 4)))
    with pytest.raises(ValueError, match="was given out of turn; write whole rows of chunks in order"):
        writing.put((slice(start, start + 2), slice(0, 4)), np.zeros((2, 4)))
    writing.close()


DAMAGES = [(codec, damage) for codec in sorted(CODECS) for damage in ("cut", "index", "chunk", "size")]
DAMAGES.remove(("raw", "size"))  # whatever such bytes are, they are values; `verify` compares them with the manifest


@pytest.mark.parametrize(("codec", "damage"), DAMAGES)
def test_a_damaged_file_is_named(tmp_path, codec, damage):
    _, shards = make(tmp_path / "p.zarr", (8, 8), (4, 4), (2, 2), codec=codec)
    write(shards, np.random.default_rng(0).standard_normal((8, 8)))
    file = tmp_path / "p.zarr" / "cube" / "c" / "0" / "0"
    data = bytearray(file.read_bytes())
    index = data[-68:]
    if damage == "cut":
        data = data[: len(data) // 2]
    elif damage == "index":
        data[-10] ^= 1
    elif damage == "chunk":
        data = data[:40] + index
    else:
        data[4] ^= 1
    file.write_bytes(data)
    with pytest.raises(StoreError, match=r"c/0/0.* (does not match its checksum|cut short or damaged)"):
        shards.read((slice(0, 8), slice(0, 8)))


@pytest.mark.parametrize(
    "more",
    [
        {"filters": [zarr.codecs.TransposeCodec(order=(1, 0))]},
        {"serializer": zarr.codecs.BytesCodec(endian="big")},
        {"codec": "gzip"},
        {"dtype": "<M8[s]", "fill": 0},
    ],
)
def test_what_lies_otherwise_is_left_to_zarr(tmp_path, monkeypatch, more):
    monkeypatch.setitem(CODECS, "gzip", zarr.codecs.GzipCodec())
    assert make(tmp_path / "p.zarr", (8, 8), (4, 4), (2, 2), **more)[1] is None


def test_an_array_without_shards_is_left_to_zarr(tmp_path):
    zarr.create_array(str(tmp_path / "a.zarr"), shape=(8,), chunks=(4,), dtype="f4")
    assert Shards.of(str(tmp_path), zarr.open_array(str(tmp_path / "a.zarr"))) is None


def test_a_product_is_written_part_by_part_and_recorded_once(tmp_path):
    values = np.random.default_rng(0).standard_normal((8, 6)).astype("f4")
    make(tmp_path / "p.zarr", values.shape, (2, 3), (4, 2))
    product = Product(str(tmp_path / "p.zarr"))
    with collected() as records, product.writing((slice(0, 8), slice(0, 6))) as put:
        for start in range(0, 8, product.rows):
            put((slice(start, start + 2), slice(0, 6)), values[start : start + 2])
        assert not records
    assert [record.file for record in records] == ["cube/c/0/0"]
    np.testing.assert_array_equal(product.read(), values)


@pytest.mark.parametrize("chunk", [(2, 3), (8, 6)], ids=["shards", "one chunk"])
def test_rows_that_were_never_given_are_refused(tmp_path, chunk):
    layout = Layout("test", {"cube": Variable(("y", "x"), (8, 6), "f4", (8, 6), chunk, "lz4")})
    product = create(str(tmp_path / "p.zarr"), layout)
    with (
        pytest.raises((ValueError, BadPiecesError), match="were given; write all of its rows"),
        product.writing((slice(0, 8), slice(0, 6))) as put,
    ):
        put((slice(0, 2), slice(0, 6)), np.ones((2, 6)))
    assert not [p for p in tmp_path.rglob("c/*") if p.is_file()]


def test_reading_and_writing_hold_no_second_shard(tmp_path):
    values = np.zeros((512, 64, 64), np.float32)
    _, shards = make(tmp_path / "p.zarr", values.shape, (32, 32, 64), (16, 2, 1))
    write(shards, values)
    tracemalloc.start()
    write(shards, values)
    _, writing = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    shards.read(tuple(slice(0, n) for n in values.shape))
    _, reading = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert writing < values.nbytes / 4
    assert reading < values.nbytes * 1.25

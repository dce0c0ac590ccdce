"""The shard reader gives what NumPy indexing would give, however the arrays are stored."""

import pickle
from importlib.util import find_spec

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.errors import StoreError
from storage.reader import ShardReader

N = 23
SHARDED = {"chunks": (1, 4, 3), "shards": (8, 4, 3), "compressors": None}
STORED = {
    "mapped": SHARDED,
    "several samples in a chunk": {"chunks": (2, 4, 3), "shards": (8, 4, 3), "compressors": None},
    "index at the start": None,
    "compressed": {"chunks": (1, 4, 3), "shards": (8, 4, 3)},
    "unsharded": {"chunks": (5, 4, 3), "compressors": None},
    "samples cut into chunks": {"chunks": (1, 2, 3), "shards": (8, 4, 3), "compressors": None},
}
MAPPED = {"mapped", "several samples in a chunk", "index at the start"}


def values(n=N):
    return np.random.default_rng(0).standard_normal((n, 4, 3)).astype(np.float32)


def write(uri, how="mapped", data=None, dims=("record", "y", "x")):
    data = values() if data is None else data
    group = zarr.open_group(str(uri), mode="a")
    options = STORED[how]
    if options is None:
        codec = zarr.codecs.ShardingCodec(
            chunk_shape=(1, 4, 3), codecs=[zarr.codecs.BytesCodec()], index_location="start"
        )
        options = {"chunks": (8, 4, 3), "compressors": None, "filters": None, "serializer": codec}
    group.create_array("image", shape=data.shape, dtype=data.dtype, dimension_names=dims, **options)[...] = data
    return ShardReader(uri)


@pytest.mark.parametrize("how", STORED)
def test_reads_what_numpy_would(tmp_path, how):
    reader, data = write(tmp_path / "d.zarr", how), values()
    assert (reader.mapped == ("image",)) == (how in MAPPED)
    assert len(reader) == N
    assert reader.dims == {"image": ("record", "y", "x")}
    for indices in ([3, 0, 22], [5, 5, -1, -23], slice(None), slice(20, 2, -3), ..., np.arange(N) % 3 == 0, [], 7, -2):
        np.testing.assert_array_equal(reader[indices]["image"], data[indices])


@pytest.mark.parametrize("how", STORED)
@pytest.mark.parametrize("held", [True, False])
def test_a_record_that_is_not_there_is_named(tmp_path, how, held, monkeypatch):
    if not held:
        monkeypatch.setattr("storage.mapped.HELD_BYTES", 0)
    reader = write(tmp_path / "d.zarr", how)
    for wrong in (23, -24):
        with pytest.raises(IndexError, match=f"record {wrong} was asked for, but .* holds 23"):
            reader[[0, wrong]]


def test_arrays_too_large_to_hold_are_decoded_batch_by_batch(tmp_path, monkeypatch):
    monkeypatch.setattr("storage.mapped.HELD_BYTES", 0)
    reader = write(tmp_path / "d.zarr", "compressed")
    np.testing.assert_array_equal(reader[[9, -1, 9, 0]]["image"], values()[[9, -1, 9, 0]])


def test_wrong_indices_are_refused(tmp_path):
    reader = write(tmp_path / "d.zarr")
    for wrong in ([[1]], [1.5], np.ones(5, bool)):
        with pytest.raises(IndexError, match=r"expected|must be"):
            reader[wrong]


def test_samples_never_written_hold_the_fill_value(tmp_path):
    group = zarr.open_group(str(tmp_path / "d.zarr"), mode="a")
    array = group.create_array(
        "image", shape=(N, 4, 3), dtype="f4", fill_value=-7, dimension_names=("record", "y", "x"), **SHARDED
    )
    data = np.full((N, 4, 3), -7, np.float32)
    for row in (1, 3, 22):  # the shard of rows 8 to 15 does not exist; those of 0 to 7 has holes, out of order
        array[row] = data[row] = row
    reader = ShardReader(tmp_path / "d.zarr")
    assert reader.mapped == ("image",)
    np.testing.assert_array_equal(reader[:]["image"], data)


def test_batches_are_new_arrays(tmp_path):
    reader = write(tmp_path / "d.zarr")
    reader[[0]]["image"][...] = 9
    np.testing.assert_array_equal(reader[[0]]["image"], values()[[0]])


@pytest.mark.parametrize("dtype", ["u1", "bool", "i8", "c8", "f2", ">f4"])
def test_every_numeric_type(tmp_path, dtype):
    data = (values() > 0).astype(dtype) if dtype in ("u1", "bool") else (values() * 9).astype(dtype)
    np.testing.assert_array_equal(write(tmp_path / "d.zarr", data=data)[[2, 21]]["image"], data[[2, 21]])


def test_arrays_of_other_shapes_and_axes(tmp_path):
    write(tmp_path / "d.zarr")
    group = zarr.open_group(str(tmp_path / "d.zarr"), mode="a")
    group.create_array(
        "label", shape=(N,), chunks=(1,), shards=(8,), dtype="u1", compressors=None, dimension_names=("record",)
    )[...] = np.arange(N)
    group.create_array("band", shape=(3,), dtype="f4", dimension_names=("band",))[...] = 1
    reader = ShardReader(tmp_path / "d.zarr")
    assert reader.variables == ("image", "label")
    assert reader[[4, 2]]["label"].tolist() == [4, 2]
    assert reader[4]["label"] == 4
    assert ShardReader(tmp_path / "d.zarr", ["label"]).variables == ("label",)
    with pytest.raises(StoreError, match="no array called 'nope'"):
        len(ShardReader(tmp_path / "d.zarr", ["nope"]))


def test_axes_need_no_names(tmp_path):
    np.testing.assert_array_equal(write(tmp_path / "d.zarr", dims=None)[[6]]["image"], values()[[6]])


def test_arrays_of_unequal_length_are_refused(tmp_path):
    write(tmp_path / "d.zarr")
    group = zarr.open_group(str(tmp_path / "d.zarr"), mode="a")
    group.create_array("label", shape=(N + 1,), dtype="u1", dimension_names=("record",))
    with pytest.raises(StoreError, match="'label': 24"):
        ShardReader(tmp_path / "d.zarr")[[0]]


def test_a_place_without_data_is_named(tmp_path):
    with pytest.raises(StoreError, match="not a Zarr group"):
        ShardReader(tmp_path / "none.zarr")[[0]]


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-40], lambda b: b"", lambda b: b[:200] + b[-20:], lambda b: b[:-9] + b"\1" + b[-8:]]
)
def test_a_damaged_shard_is_named(tmp_path, damage):
    reader = write(tmp_path / "d.zarr")
    shard = tmp_path / "d.zarr" / "image" / "c" / "1" / "0" / "0"
    shard.write_bytes(damage(shard.read_bytes()))
    with pytest.raises(StoreError, match="build or copy"):
        reader[[0]]


def test_an_empty_dataset_has_empty_batches(tmp_path):
    reader = write(tmp_path / "d.zarr", data=values(0))
    assert len(reader) == 0
    assert reader[:]["image"].shape == (0, 4, 3)


def test_other_stores_are_decoded():
    reader = write("memory://reader/d.zarr")
    assert reader.mapped == ()
    np.testing.assert_array_equal(reader[[3, 1]]["image"], values()[[3, 1]])


def test_a_reader_travels_as_its_address(tmp_path):
    reader = write(tmp_path / "d.zarr")
    reader[[0]]
    there = pickle.loads(pickle.dumps(reader))
    np.testing.assert_array_equal(there[[1]]["image"], values()[[1]])


def test_what_xarray_writes_can_be_read(tmp_path):
    import xarray as xr

    data = xr.Dataset(
        {"image": (("record", "y", "x"), values()), "name": ("record", np.array([f"n{i}" for i in range(N)]))}
    )
    data.to_zarr(tmp_path / "d.zarr", zarr_format=3, consolidated=False)
    batch = ShardReader(tmp_path / "d.zarr")[[5, 2]]
    np.testing.assert_array_equal(batch["image"], values()[[5, 2]])
    assert batch["name"].tolist() == ["n5", "n2"]


@settings(max_examples=20, deadline=None)
@given(
    indices=st.lists(st.integers(-N, N - 1), max_size=40),
    per_chunk=st.sampled_from([1, 2, 4]),
    per_shard=st.sampled_from([4, 8, 24]),
)
def test_any_layout_and_any_indices(tmp_path_factory, indices, per_chunk, per_shard):
    uri, data = tmp_path_factory.mktemp("reader") / "d.zarr", values()
    group = zarr.create_group(str(uri))
    shape = {"chunks": (per_chunk, 4, 3), "shards": (per_shard, 4, 3)}
    group.create_array(
        "image", shape=data.shape, dtype="f4", compressors=None, dimension_names=("record", "y", "x"), **shape
    )[...] = data
    reader = ShardReader(uri)
    assert reader.mapped == ("image",)
    np.testing.assert_array_equal(reader[indices]["image"], data[indices])


def test_pinned_gather_equals_gather(tmp_path):
    reader = write(tmp_path / "d.zarr")
    records, out = reader._records["image"], np.empty((3, 4, 3), np.float32)
    records.gather_into(out, np.array([4, -1, 4]))
    np.testing.assert_array_equal(out, values()[[4, -1, 4]])


def test_only_the_shards_that_are_asked_for_are_opened(tmp_path):
    write(tmp_path / "d.zarr")
    (tmp_path / "d.zarr/image/c/0/0/0").write_bytes(b"")  # broken: opening it raises
    some = ShardReader(tmp_path / "d.zarr", within=range(9, 16))
    np.testing.assert_array_equal(some[[12, 9]]["image"], values()[[12, 9]])
    np.testing.assert_array_equal(some[9:16]["image"], values()[9:16])
    for outside in ([8], [9, 16], [-N]):
        with pytest.raises(IndexError, match="only range"):
            some[outside]


@pytest.mark.gpu_cluster
def test_a_batch_on_the_gpu(tmp_path):
    pytest.importorskip("cupy", reason="needs CuPy and a GPU")
    reader = write(tmp_path / "d.zarr")
    np.testing.assert_array_equal(reader.cupy([4, -1])["image"].get(), values()[[4, -1]])


@pytest.mark.skipif(find_spec("torch") is None, reason="PyTorch, an optional dependency, is not installed")
def test_torch_workers_share_the_epoch(tmp_path):
    from torch.utils.data import DataLoader

    from storage.batches import Schedule
    from storage.torch_batches import TorchBatches

    reader, schedule = write(tmp_path / "d.zarr"), Schedule(N, batch=4, seed=1)
    serial = [b["image"].numpy() for b in DataLoader(TorchBatches(reader, schedule), batch_size=None)]
    shared = [b["image"].numpy() for b in DataLoader(TorchBatches(reader, schedule), batch_size=None, num_workers=2)]
    for a, b in zip(serial, shared, strict=True):
        np.testing.assert_array_equal(a, b)

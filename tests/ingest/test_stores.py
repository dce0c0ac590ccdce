"""Ingestion into stores that are no folders: nothing can be renamed there, so the database row is the publication."""

import os
from contextlib import nullcontext
from functools import wraps
from uuid import uuid4

import numpy as np
import pytest
import xarray as xr

import flows.ingest
from flows.ingest import IngestParams
from flows.ingest import ingest as ingest_flow
from storage import query
from storage.publish import verify
from storage.stores import files
from tasks.ingest import open_source, steps


@pytest.fixture(scope="module")
def s3():
    """An object store on loopback."""
    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(params=["memory", "s3"])
def store(request, home, monkeypatch):
    """Address of an empty store, made the one that products go to."""
    if request.param == "memory":
        address = f"memory://{uuid4().hex}"
    else:
        address = f"s3://bucket-{uuid4().hex[:8]}"
        keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
        for name, value in (keys | {"AWS_ENDPOINT_URL": request.getfixturevalue("s3")}).items():
            monkeypatch.setenv(name, value)
        import s3fs

        s3fs.S3FileSystem.clear_instance_cache()
        s3fs.S3FileSystem().mkdir(address)
    monkeypatch.setenv("NIGHTLOOM_STORE", address)
    monkeypatch.setattr(flows.ingest, "cluster", nullcontext)
    monkeypatch.setattr(steps, "copy_cube", steps.copy_cube.fn)
    return address


def ingest(source):
    return ingest_flow.fn(IngestParams(source=str(source), tile=3))


@pytest.fixture
def scene(tmp_path, cube):
    np.savez(tmp_path / "a.npz", cube=cube, wavelength_nm=[400.0, 500, 600])
    return tmp_path / "a.npz"


def test_a_product_in_an_object_store_is_like_any_other(store, scene, cube, read_all):
    summary = ingest(scene)
    uri = summary.products[0].uri
    assert uri.startswith(store)
    assert np.array_equal(xr.open_zarr(uri).cube, cube)
    assert verify(uri) == []
    assert np.array_equal(read_all(open_source(uri))[0], cube)
    assert ingest(scene).run == summary.run


def test_a_store_that_fails_in_the_middle_leaves_nothing_to_see(store, scene, cube, monkeypatch):
    copy, done = steps.copy_tile, []

    @wraps(copy)
    def failing(tile, *args):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(tile)
        return copy(tile, *args)

    monkeypatch.setattr(steps, "copy_tile", failing)
    with pytest.raises(KeyboardInterrupt):
        ingest(scene)
    assert query.products(None, limit=10) == []

    monkeypatch.setattr(steps, "copy_tile", copy)
    summary = ingest(scene)
    assert np.array_equal(xr.open_zarr(summary.products[0].uri).cube, cube)
    assert [row["uri"] for row in query.products(None, limit=10)] == [summary.products[0].uri]
    assert os.environ["NIGHTLOOM_STORE"] == store
    assert all(".staging" not in name for name, _ in files(store))

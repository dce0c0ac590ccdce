"""The flow of ingestion: once per content, resumed after a kill, nothing left of a bad file."""

from contextlib import nullcontext
from functools import wraps
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import flows.ingest
from flows.ingest import IngestParams, accepts
from flows.ingest import ingest as ingest_flow
from storage.errors import BadInputError
from tasks.ingest import Unreadable, steps


@pytest.fixture
def ingest(home, monkeypatch):
    """The flow's body in this process: no server, no cluster."""
    monkeypatch.setattr(flows.ingest, "cluster", nullcontext)
    monkeypatch.setattr(steps, "copy_cube", steps.copy_cube.fn)
    return lambda source, **given: ingest_flow.fn(IngestParams(source=str(source), **given))


def published(home):
    return sorted(p.relative_to(home) for p in (home / "store").rglob("zarr.json"))


def shards(uri):
    return {p.relative_to(uri): p.read_bytes() for p in sorted(Path(uri).rglob("c/**/*")) if p.is_file()}


def test_a_file_becomes_a_product_with_what_the_header_says(ingest, write_envi, cube):
    path = write_envi(cube, wavelength="{0.5, 0.6, 0.7}", data_units="W m-2", data_ignore_value=3)
    summary = ingest(path)
    scene = xr.open_zarr(summary.products[0].uri)
    assert summary.products[0].kind == "raw_cube"
    assert scene.cube.attrs["units"] == "W m-2"
    assert np.allclose(scene.band, [500, 600, 700])
    assert np.array_equal(scene.valid, cube != 3)
    assert summary.metrics["valid_fraction"] == 59 / 60
    assert any("micrometres" in note for note in summary.notes)


def test_header_and_image_are_one_input_done_once(ingest, write_envi, cube, home):
    path = write_envi(cube)
    first, again = ingest(path), ingest(path.with_suffix(".hdr"))
    assert again.run == first.run
    write_envi(cube, wavelength="{500, 600, 700}")
    assert ingest(path).run != first.run


def test_a_stop_in_the_middle_is_taken_up_with_the_tiles_that_are_missing(ingest, tmp_path, monkeypatch, home):
    values = np.random.default_rng(1).normal(size=(40, 30, 6)).astype("f4")
    np.save(tmp_path / "a.npy", values)
    done, stop_at, copy = [], 3, steps.copy_tile

    @wraps(copy)  # the ledger knows a stage by its step's name
    def watched(tile, *args):
        if len(done) == stop_at:
            raise KeyboardInterrupt
        done.append(tile.index)
        return copy(tile, *args)

    monkeypatch.setattr(steps, "copy_tile", watched)
    with pytest.raises(KeyboardInterrupt):
        ingest(tmp_path / "a.npy", tile=16)
    stop_at = None
    summary = ingest(tmp_path / "a.npy", tile=16)

    assert len(done) == len(set(done)) == 6
    assert np.array_equal(xr.open_zarr(summary.products[0].uri).cube, values)
    undisturbed = ingest(tmp_path / "a.npy", tile=16, force=True)
    assert shards(undisturbed.products[0].uri) == shards(summary.products[0].uri)


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.full((4, 4, 3), np.nan), "none of its 48 values is valid"),
        (np.zeros((4, 4)), "2 axes"),
        (np.zeros((4, 4, 3), complex), "complex128"),
    ],
)
def test_a_bad_file_leaves_nothing_to_see(ingest, tmp_path, home, array, says):
    np.save(tmp_path / "a.npy", array)
    before = (tmp_path / "a.npy").read_bytes()
    with pytest.raises((Unreadable, BadInputError), match=says) as error:
        ingest(tmp_path / "a.npy")
    assert "\n" not in str(error.value)
    assert not [p for p in published(home) if not any(part.startswith(".") for part in p.parts)]
    assert (tmp_path / "a.npy").read_bytes() == before


def test_a_constant_band_is_noted(ingest, tmp_path, cube):
    cube[..., 1] = 7
    np.save(tmp_path / "a.npy", cube)
    summary = ingest(tmp_path / "a.npy")
    assert summary.metrics["n_constant_bands"] == 1
    assert "1 bands are constant: 1" in summary.notes


def test_what_the_file_says_wrongly_can_be_put_right(ingest, tmp_path, cube):
    np.savez(tmp_path / "a.npz", one=cube.transpose(2, 0, 1), two=cube)
    summary = ingest(tmp_path / "a.npz", variable="one", axes="band y x", scale=2.0, nodata=1)
    scene = xr.open_zarr(summary.products[0].uri)
    assert np.array_equal(scene.cube, np.where(cube == 1, 0, 2 * cube))


def test_a_path_outside_the_roots_is_refused_before_it_is_read(ingest, tmp_path, monkeypatch):
    (tmp_path / "secret").write_text("password")
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", "a-run-that-came-through-the-server")
    with pytest.raises(BadInputError, match="outside the allowed roots") as error:
        ingest(tmp_path / "secret")
    assert "passw" not in str(error.value)


def test_the_inbox_asks_by_content(tmp_path, write_envi, cube):
    assert accepts(write_envi(cube))
    np.savez(tmp_path / "mug.npz", vertices=np.zeros((3, 3)), faces=np.zeros((1, 3)))
    assert not accepts(tmp_path / "mug.npz")
    (tmp_path / "x.npy").mkdir()
    assert not accepts(tmp_path / "x.npy")
    assert not accepts(tmp_path / "nothing")


def test_through_prefect(home, prefect_server, tmp_path, cube, monkeypatch):
    monkeypatch.setattr(flows.ingest, "cluster", nullcontext)
    np.save(tmp_path / "a.npy", cube)
    assert ingest_flow(IngestParams(source=str(tmp_path / "a.npy"))).status == "completed"


def test_a_file_that_still_grows_is_left_for_the_next_night(tmp_path, cube, monkeypatch, write_envi):
    from flows import _inbox
    from flows._catalogue import load

    np.save(tmp_path / "whole.npy", cube)
    growing = write_envi(cube, name="growing")
    growing.write_bytes(growing.read_bytes()[:99])

    def somebody_writes(_):
        with growing.open("ab") as file:
            file.write(b"more")

    monkeypatch.setattr(_inbox.time, "sleep", somebody_writes)
    inbox = _inbox.Inbox(tmp_path)
    assert [path.name for path, _ in inbox.files([load("ingest")])] == ["whole.npy"]
    assert inbox.growing == [str(growing)]
    assert inbox.refused == []


def test_a_header_and_its_image_are_taken_together(tmp_path, write_envi, cube):
    from flows._catalogue import load
    from flows._inbox import Inbox

    write_envi(cube, name="two words")
    inbox = Inbox(tmp_path)
    assert len(list(inbox.files([load("ingest")]))) == 1
    assert inbox.refused == []

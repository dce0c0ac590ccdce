"""The search flow, from a file to candidates in the database, as Prefect runs it."""

import numpy as np
import pandas as pd
import pytest
import xarray
from astropy.table import Table

from deployments.running import plan
from flows.search import SearchParams, search
from storage import query
from storage.errors import BadInputError
from storage.layout import Coordinate, Layout, variable
from storage.product import create
from storage.search import Candidate, Exposure
from tasks.search import search as search_cube
from tasks.search.steps import observe
from tests.search.oracle import DT, FREQS, pulse
from tests.search.test_sky import KNOWN, header

SHAPE = (120, 8, 24, 20)


@pytest.fixture
def night(tmp_path):
    """A file of noise with two bursts, and its cube."""
    cube = np.random.default_rng(2).standard_normal(SHAPE, dtype=np.float32)
    cube += pulse(SHAPE, FREQS, time=5.0, dm=800.0, width=0.4, y=6, x=4, amplitude=6.0)
    cube += pulse(SHAPE, FREQS, time=11.0, dm=200.0, width=2.0, y=17, x=12, amplitude=2.5)
    path = tmp_path / "night.npz"
    np.savez(path, cube=cube, freq_mhz=FREQS, tsamp_s=DT)
    return path, cube


def params(path, **more):
    return SearchParams(source=str(path), **({"dm_max": 2000.0, "tile": 7} | more))


def test_a_file_becomes_candidates(home, prefect_server, night, tmp_path):
    path, cube = night
    catalogue = tmp_path / "known.csv"
    catalogue.write_text("name,ra,dec\nCrab,83.63,22.01\n")
    before = plan("search", params(path))
    assert not query.products()  # a plan writes nothing
    summary = search(params(path, catalogue=str(catalogue)))

    assert summary.status == "completed"
    kinds = [p.kind for p in summary.products]
    assert kinds == ["flags", "cutouts", "candidates", "picture", "picture"]
    assert summary.metrics["n_candidates"] == 2
    rows = query.table(Candidate)
    found = search_cube(cube, FREQS, DT, dm_max=2000.0)
    pd.testing.assert_series_equal(
        pd.Series(sorted(r["snr"] for r in rows)),
        found["snr"].sort_values(ignore_index=True),
        check_names=False,
        check_exact=True,
    )  # bit for bit: tiles of 7 pixels change nothing
    stored = pd.read_parquet(summary.first("candidates").uri)
    assert list(stored["snr"]) == list(found["snr"])
    with xarray.open_zarr(summary.first("cutouts").uri) as cutouts:
        assert cutouts["image"].shape == (2, 64, 64)
        assert cutouts["spectrum"].sizes["channel"] == 8
        assert float(cutouts["image"][0].max()) > 10
    assert len(query.table(Candidate, "snr > 15 and dm > 100")) >= 1
    assert len(query.table(Exposure)) == 1
    for r in rows:  # no WCS: no place on the sky, so nothing known is near either
        assert (r["ra_deg"], r["dec_deg"], r["known_source"]) == (None, None, None)
    assert search(params(path, catalogue=str(catalogue))).run == summary.run
    after = plan("search", params(query.products("kind = 'radio_cube'")[0]["id"]))
    for key in ("shape", "tiles", "bytes", "memory_per_worker_bytes", "pixel_trials"):
        assert before[key] == after[key]
    assert before["tiles"] == 12  # one stretch, 4 x 3 squares of 7 pixels
    assert before["expected_seconds"] > 0
    # the same work again takes, as far as one past run can tell, what it took
    assert after["expected_seconds"] == pytest.approx(query.run(summary.run)["seconds"], abs=0.1)


def test_what_the_data_do_not_say_must_be_given(home, tmp_path):
    described = variable(("time", "channel", "y", "x"), (4, 2, 3, 3), "float32")
    cube = create(str(tmp_path / "bare.zarr"), Layout("radio_cube", {"cube": described}))
    with pytest.raises(BadInputError, match="freq_first"):
        observe(cube, params("x", dt=1.0))
    with pytest.raises(BadInputError, match="give the sampling time"):
        observe(cube, params("x", freq_first=1400.0, freq_last=1300.0))
    seen = observe(cube, params("x", dt=0.5, freq_first=1400.0, freq_last=1300.0))
    assert seen.dt == 0.5
    assert list(seen.freqs) == [1400.0, 1300.0]


def test_uneven_times_and_shuffled_channels_get_a_sentence(home, tmp_path):
    described = variable(("time", "channel", "y", "x"), (4, 3, 2, 2), "float32")
    coords = {
        "time": Coordinate(("time",), np.array([0.0, 1.0, 2.0, 9.0]), {"units": "s"}),
        "channel": Coordinate(("channel",), np.array([1400.0, 1300.0, 1350.0]), {"units": "MHz"}),
    }
    cube = create(str(tmp_path / "odd.zarr"), Layout("radio_cube", {"cube": described}, coords))
    with pytest.raises(BadInputError, match="neither rise nor fall"):
        observe(cube, params("x"))
    with pytest.raises(BadInputError, match="expected equal steps"):
        observe(cube, params("x", freq_first=1400.0, freq_last=1300.0))


def test_half_precision_with_a_wcs_is_placed_on_the_sky_and_matched(home, prefect_server, tmp_path):
    """A Zarr cube of float16, as a correlator would write it, against a VOTable."""
    cube = np.random.default_rng(5).standard_normal(SHAPE, dtype=np.float32)
    cube += pulse(SHAPE, FREQS, time=5.0, dm=800.0, width=0.4, y=10, x=20 - 1, amplitude=7.0)
    dims = ("time", "channel", "y", "x")
    coords = {
        "time": Coordinate(("time",), np.arange(SHAPE[0]) * DT, {"units": "s"}),
        "channel": Coordinate(("channel",), FREQS, {"units": "MHz"}),
    }
    described = Layout("cube", {"cube": variable(dims, SHAPE, "float16")}, coords, {"wcs": header(crpix=[20, 11])})
    night = create(str(tmp_path / "night.zarr"), described)
    night.write(tuple(slice(0, n) for n in SHAPE), cube.astype(np.float16))
    Table(KNOWN).write(tmp_path / "known.vot", format="votable")

    summary = search(params(night.uri, catalogue=str(tmp_path / "known.vot"), match_radius=40.0))

    assert query.products("kind = 'radio_cube'")[0]["dtype"] == "float16"  # kept, not widened
    (row,) = query.table(Candidate)
    assert row["known_source"] == "Crab"
    assert row["separation_arcsec"] < 0.3 * 36  # a third of a pixel
    assert (row["ra_deg"], row["dec_deg"]) == pytest.approx((83.63, 22.01), abs=0.005)
    (exposure,) = query.table(Exposure)
    assert exposure["area_deg2"] == pytest.approx(24 * 20 * 1e-4)
    assert summary.metrics["n_candidates"] == 1

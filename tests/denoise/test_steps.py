"""The stages: the same answer as in memory, whatever the tiles; nothing else than their own region is written."""

import numpy as np
import pytest
import xarray as xr

from storage import denoise as layouts
from storage.layout import Coordinate, Layout, variable
from storage.product import create
from tasks.attempts import cut
from tasks.denoise import denoise, figures, steps
from tasks.denoise.again import steps as again
from tasks.denoise.front import steps as front
from tasks.denoise.hyres import HyRes
from tasks.denoise.l1hymixde import L1HyMixDe
from tasks.denoise.methods import method as find_method
from tasks.denoise.moments import packed, packed_size, unpacked
from tasks.executors import Here
from tests.denoise.scenes import noisy, psnr, scene

CUBE = noisy(scene(50, 37, 8, n_end=2))
MASK = np.random.default_rng(4).random(CUBE.shape) > 0.01
MASK[20:23, 30:33] = False
PLAIN = HyRes()


def raw_cube(uri, cube=CUBE, mask=MASK, scale=1.0):
    """A product as ingestion leaves it."""
    parts = {"units": "W"} | ({} if scale == 1 else {"scale_factor": scale})
    layout = Layout(
        "raw_cube",
        {
            "cube": variable(("y", "x", "band"), cube.shape, cube.dtype, (16, 16, cube.shape[2]), **parts),
            "valid": variable(("y", "x", "band"), cube.shape, "bool", (16, 16, cube.shape[2])),
        },
        {"band": Coordinate(("band",), np.linspace(400, 900, cube.shape[2]), {"units": "nm"})},
    )
    product = create(str(uri), layout)
    whole = tuple(slice(0, n) for n in cube.shape)
    product.write(whole, np.where(mask, cube, np.nan) if cube.dtype.kind == "f" else cube)
    product["valid"].write(whole, mask)
    return product


def run_steps(folder, product, edge, method=PLAIN, bands=None, keep_rare=False):
    """What the flow does, without Prefect and without a database."""

    def make(name, layout):
        return create(str(folder / f"{name}_{edge}.zarr"), layout)

    bands = front.choose_bands.fn(product, bands)
    robust, _ = front.look.fn(product, bands)
    cube, rare = product, steps.Rare(None, keep_rare, robust.sigma)
    if method.robust:
        cube, outliers = make("mended", layouts.mended(product)), make("outliers", layouts.outliers(product))
        front.mend_scene.fn(product, cube, outliers, robust)
    solved = steps.solve_scores(make, cube, bands, method, edge)
    solved = again.alternate(make, cube, method, solved)
    scores, model, plan = again.look_again(make, product, bands, robust, method, edge, solved)
    expected = method.expected_error(model, plan)
    clean = make(
        "clean",
        layouts.clean_cube(product, edge, model.sigma, expected, figures.snr(model.mean, model.sigma), method.linear),
    )
    removed = steps.restore.fn(product, scores, clean, model, method, plan, rare)
    steps.measure_columns.fn(product, clean, model.sigma, expected)
    return clean, model, expected, removed


@pytest.fixture(autouse=True)
def plain_tasks(monkeypatch):
    for name in ("survey", "project_scene", "measure_scores"):
        monkeypatch.setattr(steps, name, getattr(steps, name).fn)
    for name in ("alternate_scene", "filter_scene", "repair_scene"):
        monkeypatch.setattr(again, name, getattr(again, name).fn)


@pytest.mark.parametrize("edge", [17, 64])
def test_stages_give_what_memory_gives(tmp_path, edge):
    clean, *_ = run_steps(tmp_path, raw_cube(tmp_path / "raw.zarr"), edge)
    want = denoise(CUBE, "hyres", mask=MASK)
    assert np.abs(clean.read() - want).max() <= 1e-5 * np.abs(want).max()
    assert np.array_equal(clean["valid"].read(), MASK)


def test_mended_strip_by_strip_gives_what_memory_gives(tmp_path, monkeypatch):
    monkeypatch.setattr(layouts, "STRIP_BYTES", 4 * 50 * 8 * 5)
    cube = CUBE.copy()
    cube[::7, 3::5, 2] = 1.0
    cube[:, 11, 4] += 0.1
    cube[:, 20, 6] = 0.0
    clean, *_ = run_steps(tmp_path, raw_cube(tmp_path / "raw.zarr", cube), 17, HyRes(robust=True))
    want = denoise(cube, "hyres", mask=MASK, robust=True)
    assert np.abs(clean.read() - want).max() <= 1e-5 * np.abs(want).max()


def test_a_second_look_strip_by_strip_gives_what_memory_gives(tmp_path, monkeypatch):
    monkeypatch.setattr(layouts, "STRIP_BYTES", 4 * 50 * 8 * 5)
    cube = CUBE.copy()
    cube[::7, 3::5, 2] = 1.0
    cube[:, 11:14, 4] += 0.1
    cube[:, 20, 6] = 0.0
    clean, *_ = run_steps(tmp_path, raw_cube(tmp_path / "raw.zarr", cube), 17, L1HyMixDe(repeats=2))
    want = denoise(cube, "l1hymixde", mask=MASK, repeats=2)
    assert np.abs(clean.read() - want).max() <= 1e-5 * np.abs(want).max()


@pytest.mark.parametrize("name", ["hyminor", "forpdn", "wsrrr", "otvca", "rctv", "fasthyde", "fasthyin", "l1hymixde"])
def test_every_method_streams(tmp_path, name):
    chosen = steps.choose(name, None, False if name not in ("fasthyde", "fasthyin", "l1hymixde") else None, {}, None)
    clean, *_ = run_steps(tmp_path, raw_cube(tmp_path / "raw.zarr"), 17, chosen)
    truth = scene(50, 37, 8, n_end=2)
    assert psnr(truth, clean.read()) > psnr(truth, CUBE) + 4
    if name not in ("l1hymixde", "fasthyin"):  # these look again at a cube in memory
        want = denoise(CUBE, name, mask=MASK, **({} if name == "fasthyde" else {"robust": False}))
        assert np.abs(clean.read() - want).max() <= 1e-5 * np.abs(want).max()


@pytest.mark.parametrize("name", ["forpdn", "hyres"])
def test_a_linear_method_tells_the_uncertainty_of_every_sample(tmp_path, name):
    clean, model, *_ = run_steps(tmp_path, raw_cube(tmp_path / "raw.zarr"), 17, find_method(name))
    assert ("uncertainty" in clean) == (name == "forpdn")
    if name == "forpdn":
        told = clean["uncertainty"].read()
        assert np.array_equal(np.isfinite(told), MASK)
        assert (told[MASK] < np.broadcast_to(model.sigma, MASK.shape)[MASK]).all()


def test_a_repeated_stage_changes_nothing(tmp_path):
    product = raw_cube(tmp_path / "raw.zarr")
    first = run_steps(tmp_path, product, 17)[0].read()
    assert np.array_equal(run_steps(tmp_path, product, 17)[0].read(), first)


def test_the_product_explains_itself(tmp_path):
    clean, model, expected, removed = run_steps(tmp_path, raw_cube(tmp_path / "raw.zarr"), 64)
    opened = xr.open_zarr(clean.uri, consolidated=False)

    assert opened.cube.dims == ("y", "x", "band") and opened.cube.attrs["units"] == "W"
    assert np.allclose(opened.band, np.linspace(400, 900, 8))
    assert np.allclose(opened.sigma, model.sigma) and np.allclose(opened.sigma_after, expected)
    assert (expected < model.sigma).all()
    assert opened.sigma_column.dims == ("x", "band") and np.allclose(opened.snr, CUBE.mean((0, 1)) / 0.03, rtol=0.2)
    assert np.allclose(opened.sigma_column.mean("x"), 0.03, rtol=0.1)
    assert np.abs(removed["leakage"]).max() < 0.3 and abs(removed["residual_angle_deg"] - 90) < 1
    assert np.allclose(removed["residual_rms"], 0.03, rtol=0.15)
    assert np.abs(removed["residual_correlation"]).max() < 0.15
    numbers = figures.quality(model, expected, removed)
    assert np.allclose(numbers["snr"], CUBE.mean((0, 1)) / 0.03, rtol=0.2)
    assert numbers["gain_db"] > 6 and numbers["n_used_bands"] == 8
    assert steps.quicklook(raw_cube(tmp_path / "again.zarr"), clean, model.mean).startswith(b"\x89PNG")


def test_expected_error_is_honest(tmp_path):
    truth = scene(64, 64, 24)
    product = raw_cube(tmp_path / "raw.zarr", noisy(truth), np.ones(truth.shape, bool))
    clean, _, expected, _ = run_steps(tmp_path, product, 64)
    actual = np.sqrt(((clean.read() - truth) ** 2).mean((0, 1)))
    assert np.allclose(np.median(expected / actual), 1, atol=0.35)


def test_scaled_integers_are_read_in_their_unit(tmp_path):
    stored = np.rint(CUBE * 1e4).clip(0).astype(np.uint16)
    clean, *_ = run_steps(tmp_path, raw_cube(tmp_path / "raw.zarr", stored, scale=1e-4), 64)
    want = denoise(stored * np.float32(1e-4), "hyres", mask=MASK)
    assert np.allclose(clean.read(), want, atol=1e-6)


def test_bad_bands_of_the_file_pass_through(tmp_path):
    product = raw_cube(tmp_path / "raw.zarr", mask=np.ones(CUBE.shape, bool))
    bad = np.arange(8) == 5
    spoilt = create(
        str(tmp_path / "bad.zarr"),
        Layout(
            "raw_cube",
            {"cube": variable(("y", "x", "band"), CUBE.shape, "float32", CUBE.shape)},
            {"bad_bands": Coordinate(("band",), bad), "band": Coordinate(("band",), np.arange(8))},
        ),
    )
    spoilt.write(tuple(slice(0, n) for n in CUBE.shape), product.read())
    clean, model, *_ = run_steps(tmp_path, spoilt, 64)
    assert not model.used[5] and np.array_equal(clean.read()[..., 5], CUBE[..., 5])


def test_a_band_that_is_never_valid_keeps_its_values(tmp_path):
    mask = MASK.copy()
    mask[..., 3] = False
    stored = np.rint(CUBE * 1e4).clip(0).astype(np.uint16)
    clean, *_ = run_steps(tmp_path, raw_cube(tmp_path / "raw.zarr", stored, mask, scale=1e-4), 17)
    assert np.allclose(clean.read()[..., 3], stored[..., 3] * 1e-4)
    assert not clean["valid"].read()[..., 3].any()


def test_moments_survive_packing():
    from tasks.denoise.moments import measure

    found = measure(np.where(MASK, CUBE, 0), MASK, np.ones(8, bool))
    again = unpacked(packed(found), 8)
    assert len(packed(found)) == packed_size(8)
    assert all(np.array_equal(getattr(again, name), value) for name, value in vars(found).items())


@pytest.mark.parametrize("name", ["hyres", "hyminor", "forpdn", "otvca", "rctv", "l1hymixde"])
def test_tiles_cut_for_want_of_memory_leave_the_same_values(tmp_path, monkeypatch, name):
    product, method, cuts = raw_cube(tmp_path / "raw.zarr"), find_method(name), []
    whole, *_, removed = run_steps(tmp_path, product, 32, method)
    monkeypatch.setattr(Here, "tile_memory", 1.0)
    monkeypatch.setattr("tasks.stage.cut", lambda tile, count: cuts.append(count) or cut(tile, count))
    (tmp_path / "cut").mkdir()
    pieces, *_, again_removed = run_steps(tmp_path / "cut", product, 32, method)
    assert max(cuts) > 1
    # The same bytes; but rctv's ten alternations carry a rounding that depends on a tile's size from step to step.
    rtol = 1e-6 if name == "rctv" else 0
    for variable_ in ("cube", "valid", "rare", "sigma_column", *(["uncertainty"] if method.linear else [])):
        np.testing.assert_allclose(pieces[variable_].read(), whole[variable_].read(), rtol=rtol, err_msg=variable_)
    # Sums by piece round otherwise; those of rctv follow its values.
    np.testing.assert_allclose(again_removed["residual_rms"], removed["residual_rms"], rtol=max(rtol, 1e-12))

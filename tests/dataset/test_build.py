"""Building datasets: grown by linking, the same from the same products, whole or absent, never leaking."""

import json
from dataclasses import replace
from pathlib import Path
from threading import Thread

import numpy as np
import pandas as pd
import pytest

import flows._dataset_card
from storage import dataset_layout
from storage.database import session
from storage.dataset import GateResult, candidates, stored_splits, version, versions
from storage.dataset_files import compare, damaged, read_index, read_manifest, read_stats
from storage.errors import BadInputError
from storage.layout import Variable
from storage.product import Product
from storage.publish import MANIFEST
from storage.reader import ShardReader
from storage.stores import join
from tasks.dataset import steps
from tasks.stage import run_stage


def links(folder):
    return {p.relative_to(folder).as_posix() for p in Path(folder).rglob("*") if p.is_file() and p.stat().st_nlink > 1}


def test_patches_are_those_of_the_cubes(scene, build):
    uris = [scene(i) for i in range(3)]
    summary = build()
    made = version("denoise")
    assert summary.first("dataset").uri == made.uri
    assert made.uri.endswith("v001/data.zarr")
    index, reader = read_index(made.folder), ShardReader(made.uri)
    assert set(index["source_uri"]) == set(uris)
    for row in index.itertuples():
        sample, region = reader[row.record], (slice(row.y0, row.y0 + 8), slice(row.x0, row.x0 + 8), slice(0, 6))
        np.testing.assert_array_equal(sample["clean"], Product(row.source_uri).read(region))
        assert np.isfinite(sample["noisy"]).all()
        assert sample["valid"].mean() == row.valid_fraction >= 0.9
    assert reader.mapped == ("clean", "noisy", "sigma", "valid") == reader.variables
    assert summary.metrics["n_samples"] == len(index) == 24


def test_science_opens_it_with_xarray(scene, build):
    import xarray as xr

    scene(0)
    build(train=1, val=0, test=0)
    data = xr.open_zarr(version("denoise").uri)
    assert data.noisy.dims == ("record", "y", "x", "band")
    assert data.noisy.attrs["units"] == "1"
    assert data.wavelength.attrs["units"] == "nm"


def test_statistics_are_those_of_the_training_samples(scene, build):
    for i in range(5):
        scene(i)
    build()
    scene(5)
    build()
    made = version("denoise")
    index, stats = read_index(made.folder), read_stats(made.folder)
    train = ShardReader(made.uri)[index.loc[index["split"] == "train", "record"].to_numpy()]["noisy"].astype(float)
    assert set(index["split"]) == {"train", "val", "test"}
    np.testing.assert_allclose(stats["mean"], train.mean(axis=(0, 1, 2)), rtol=1e-9)
    np.testing.assert_allclose(stats["std"], train.std(axis=(0, 1, 2)), rtol=1e-9)


def test_growing_links_what_is_there_and_moves_nothing(scene, build):
    for i in range(6):
        scene(i)
    build()
    first = version("denoise")
    for i in range(6, 8):
        scene(i)
    build()
    second = version("denoise")
    assert (second.number, second.parent, second.live, second.added) == (2, 1, 64, 16)
    old, new = read_index(first.folder), read_index(second.folder)
    pd.testing.assert_frame_equal(old, new[: len(old)])
    a, b = ShardReader(first.uri)[:], ShardReader(second.uri)[: len(old)]
    assert all(np.array_equal(a[name], b[name]) for name in a)
    assert len([f for f in links(second.folder) if f.startswith("data.zarr/noisy/")]) == 48 // 8
    assert damaged(second.folder) == damaged(first.folder) == []
    change = compare(first, second)
    assert (change["added"], change["removed"], change["moved_between_splits"], change["changed"]) == (16, 0, [], [])


def test_a_dataset_of_nested_shards_grows_as_it_is(scene, build, monkeypatch):
    for i in range(4):
        scene(i)
    with monkeypatch.context() as patch:  # as the first datasets were written
        patch.setattr(dataset_layout, "Variable", lambda *a, **given: Variable(*a, **given | {"flat": False}))
        build()
    first = version("denoise")
    scene(4)
    build()
    second = version("denoise")
    assert damaged(first.folder) == damaged(second.folder) == []
    old, new = ShardReader(first.uri)[:], ShardReader(second.uri)[: first.live]
    assert all(np.array_equal(old[name], new[name]) for name in old)
    assert any(file.startswith("data.zarr/noisy/c/0/") for file in links(second.folder))


def test_a_last_shard_that_was_not_full_is_written_again(scene, build):
    scene(0, shape=(24, 16, 6))
    build()
    assert version("denoise").live % 8
    scene(1)
    build()
    second = version("denoise")
    index, reader = read_index(second.folder), ShardReader(second.uri)
    for row in index.itertuples():
        region = (slice(row.y0, row.y0 + 8), slice(row.x0, row.x0 + 8), slice(0, 6))
        np.testing.assert_array_equal(reader[row.record]["clean"], Product(row.source_uri).read(region))
    assert damaged(second.folder) == []


def test_the_same_products_give_the_same_version(scene, build):
    for i in (2, 0, 1):
        scene(i)
    first = build()
    assert build().run == first.run  # done before: handed back
    assert build(min_per_class=1).version_id == first.version_id  # another run finds nothing new
    assert [v.number for v in versions("denoise")] == [1]
    again = build(name="again")
    made, other = version("denoise"), version("again")
    assert again.first("dataset").uri != first.first("dataset").uri
    sums = [
        {k: v for k, v in read_manifest(m.folder)["files"].items() if k.startswith("data.zarr")} for m in (made, other)
    ]
    assert sums[0] == sums[1]


def test_near_duplicates_share_a_split_and_are_kept_once(scene, build):
    for i in range(7):
        scene(i)
    twins = [scene(7), scene(50, copy_of=7)]  # the same place, measured again
    build(radius=0.0)
    index = read_index(version("denoise").folder)
    assert (index.groupby("group")["split"].nunique() == 1).all()
    both = index[index["source_uri"].isin(twins)]
    assert both["group"].nunique() == 2
    assert both["split"].nunique() == 1
    build(name="once", radius=0.1)
    assert len(read_index(version("once").folder)) == len(index) - 8


def test_a_kill_leaves_nothing_and_the_rerun_gives_the_same_version(scene, build, monkeypatch, home):
    for i in range(4):
        scene(i)
    whole = build(name="whole").metrics

    def killed(*_):
        raise KeyboardInterrupt

    for place in ("write_shards", "read_back"):
        with monkeypatch.context() as patch:
            patch.setattr(steps, place, killed)
            with pytest.raises(KeyboardInterrupt):
                build()
        assert not candidates("dataset", "params.name = ''")
        assert stored_splits("denoise") == {}
    with monkeypatch.context() as patch:
        patch.setattr(flows._dataset_card, "_record", killed)
        with pytest.raises(KeyboardInterrupt):
            build()
    assert build().metrics == whole
    assert damaged(version("denoise").folder) == []


def test_croissant_is_valid_and_streams_the_index(scene, build):
    import mlcroissant as mlc

    scene(0)
    build(train=1, val=0, test=0)
    folder = version("denoise").folder
    described = mlc.Dataset(jsonld=join(folder, "croissant.json"))
    assert not described.metadata.ctx.issues.errors
    records = list(described.records("samples"))
    index = read_index(folder)
    assert len(records) == len(index)
    assert records[0]["samples/id"].decode() == index["id"][0]


def test_the_datasheet_says_what_and_why_not(scene, build):
    scene(0)
    build(train=1, val=0, test=0)
    text = (Path(version("denoise").folder) / "datasheet.md").read_text()
    assert "8 samples in 1 groups" in text
    assert "not usable: 1 candidates" in text
    assert "No group fell into the test split" in text


def test_nan_samples_fail_the_build_by_name(scene, build):
    scene(0)
    scene(1, nan_at=(12, 12, 2))
    with pytest.raises(BadInputError, match=r"gate not_finite failed: found 1, limit 0; first of them: [0-9a-f]{32}"):
        build()
    with session() as s:
        failed = [row for row in s.query(GateResult) if not row.passed]
    assert [row.name for row in failed] == ["not_finite"]
    assert len(failed[0].offenders) == 1
    assert candidates("dataset") == []


def test_a_class_with_too_few_samples_fails_the_build(scene, build):
    scene(0)
    with pytest.raises(BadInputError, match="gate class_minimum failed: found 8, limit 9; first of them: patch"):
        build(min_per_class=9)


def test_a_class_without_a_single_sample_fails_the_build_if_it_was_asked_for(search, build):
    search(0)
    with pytest.raises(BadInputError, match="gate class_minimum failed: found 0, limit 1; first of them: astro;"):
        build(kind="cutouts", classes=["injection", "astro"], min_per_class=1)
    assert candidates("dataset") == []


def test_samples_without_a_group_key_fail_the_build(scene, build, monkeypatch):
    from tasks.dataset.kinds.denoise import DenoisePatches

    monkeypatch.setattr(DenoisePatches, "groups", lambda self, source, positions, samples: [""] * len(positions))
    scene(0)
    with pytest.raises(
        BadInputError, match=r"gate group_key_missing failed: found 8, limit 0; first of them: [0-9a-f]{32}"
    ):
        build()
    assert candidates("dataset") == []


def test_an_empty_selection_says_what_to_do(build):
    with pytest.raises(BadInputError, match="no product of runs that meet \"flow = 'nothing'\""):
        build(where="flow = 'nothing'")


def test_a_source_that_changed_or_vanished_is_named(scene, build):
    uri = scene(0)
    shard = next(p for p in (Path(uri) / "cube").rglob("*") if p.is_file() and p.name != "zarr.json")
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(BadInputError, match=f"{uri} is damaged"):
        build()
    shard.write_bytes(whole)
    manifest = Path(uri) / MANIFEST
    told = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(told | {"digest": "0" * 32}))
    with pytest.raises(BadInputError, match=f"{uri} has digest 0000"):
        build()
    manifest.unlink()
    with pytest.raises(BadInputError, match=f"{uri} has vanished"):
        build()


def test_another_recipe_wants_another_name(scene, build):
    scene(0)
    build()
    with pytest.raises(BadInputError, match="built with patch = 8, stride = 8; use the same"):
        build(patch=6)
    assert build(patch=6, name="six").dataset == "six/v001"


def test_cubes_of_another_sensor_are_left_out_and_named(scene, build):
    for i in range(2):
        scene(i)
    other = scene(2, shape=(24, 24, 5))
    small = scene(3, shape=(6, 6, 6))
    reasons = {skip["uri"]: skip["reason"] for skip in build().skipped}
    assert "not those of the dataset" in reasons[other]
    assert "holds no window of 8" in reasons[small]


def test_removed_records_stay_in_the_arrays_until_they_are_many(scene, build, monkeypatch):
    for i in range(8):
        scene(i)
    build()
    first = version("denoise")
    gone = read_index(first.folder).query("split == 'train'")["id"].tolist()
    choose = steps.choose

    def removing(n):
        def also(*args):
            chosen = choose(*args)
            chosen.removed |= set(gone[:n])
            return chosen

        return also

    scene(8)
    monkeypatch.setattr(steps, "choose", removing(2))
    build()
    second = version("denoise")
    assert (second.records, second.live) == (72, 70)
    index = read_index(second.folder)
    assert not set(gone[:2]) & set(index["id"])
    train = ShardReader(second.uri)[index.loc[index["split"] == "train", "record"].to_numpy()]["noisy"].astype(float)
    np.testing.assert_allclose(read_stats(second.folder)["mean"], train.mean(axis=(0, 1, 2)), rtol=1e-9)
    scene(9)
    monkeypatch.setattr(steps, "choose", removing(12))
    build()
    third = version("denoise")
    assert third.records == third.live == 68
    assert read_index(third.folder)["record"].tolist() == list(range(68))
    assert compare(second, third)["moved_between_splits"] == [] == damaged(third.folder)


def test_coreset_and_weights(scene, build):
    for i in range(6):
        scene(i)
    for how in ("k_center", "facility", "sensitivity"):
        build(name=how, coreset=how, coreset_size=10)
        index = read_index(version(how).folder)
        train = index[index["split"] == "train"]
        assert len(train) == 10 or (how == "sensitivity" and len(train) <= 10)
        assert (index[index["split"] != "train"]["weight"] == 1).all()
        assert (train["weight"].sum() > 20) == (how == "sensitivity")


def test_simulated_scenes_are_marked(scene, build):
    scene(0)
    scene(1, simulated=True)
    build(train=1, val=0, test=0)
    index = read_index(version("denoise").folder)
    assert index.groupby("source_uri")["simulated"].nunique().tolist() == [1, 1]
    assert index["simulated"].sum() == 8


def test_the_order_of_tiles_changes_nothing(scene, build, monkeypatch):
    for i in range(4):
        scene(i)
    build(name="forward")

    def backward(step, plan, *args, **options):
        report = run_stage(step, plan[::-1], *args, **options)
        return replace(report, records=report.records[::-1])

    monkeypatch.setattr(steps, "run_stage", backward)
    build(name="backward")
    sums = [read_manifest(version(name).folder)["files"] for name in ("forward", "backward")]
    arrays = [{k: v for k, v in s.items() if ".zarr/" in k} for s in sums]
    assert arrays[0] == arrays[1]
    splits = [set(read_index(version(name).folder)["id"]) for name in ("forward", "backward")]
    assert splits[0] == splits[1]


def test_the_number_of_workers_changes_nothing(scene, build, tmp_path):
    from distributed import Client, LocalCluster

    for i in range(5):
        scene(i, shape=(32, 32, 6))
    build(name="alone")
    for n in (1, 3):
        local = {"dashboard_address": None, "local_directory": str(tmp_path), "threads_per_worker": 1}
        with LocalCluster(n_workers=n, **local) as cluster, Client(cluster):
            build(name=f"by{n}")
    sums = [read_manifest(version(name).folder) for name in ("alone", "by1", "by3")]
    data = [{k: v for k, v in m["files"].items() if k.startswith("data.zarr")} for m in sums]
    assert data[0] == data[1] == data[2]


def test_two_builds_of_one_dataset_wait_for_each_other(scene, build):
    from storage.dataset_state import only_builder

    scene(0)
    with only_builder("denoise"):
        waiting = Thread(target=build)
        waiting.start()
        waiting.join(timeout=1.5)
        assert waiting.is_alive()
        assert not versions("denoise")
    waiting.join(timeout=60)
    assert [v.number for v in versions("denoise")] == [1]


def test_a_parent_that_vanished_is_named(scene, build):
    scene(0)
    build()
    (Path(version("denoise").folder) / "manifest.json").unlink()
    scene(1)
    with pytest.raises(BadInputError, match="denoise/v001 has vanished"):
        build()


def test_a_plan_counts_what_is_new(scene, build):
    from flows.dataset import DatasetParams, plan

    params = {"kind": "denoise", "patch": 8, "radius": 0.02, "min_per_class": 0}
    assert plan(DatasetParams(**params))["tiles"] == 0
    scene(0)
    sample = 4 * (2 * 8 * 8 * 6 + 6) + 8 * 8
    assert plan(DatasetParams(**params)) == {"products": 1, "tiles": 1, "candidates": 9, "bytes": 9 * sample}
    build()
    assert plan(DatasetParams(**params))["candidates"] == 0

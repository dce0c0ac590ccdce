"""The other kinds of datasets: cutouts with their truth, grasps with their failures."""

from typing import get_args

import numpy as np
import pytest

from flows.dataset import DatasetParams, closing
from storage.dataset import version
from storage.dataset_files import read_index
from storage.dataset_sources import ORIGINS
from storage.errors import BadInputError
from storage.labels import decide
from storage.product import Product
from storage.reader import ShardReader
from storage.summary import ProductSummary
from tasks.dataset.kinds import KINDS
from tasks.dataset.kinds.cutouts import rebinned
from tasks.dataset.kinds.grasps import joint_excess


def test_cutouts_carry_label_and_truth(search, build):
    uri = search(0, known="PSR J0000")
    search(1, known="PSR J0000", n_channel=7)
    build(kind="cutouts")
    made = version("cutouts")
    index, data = read_index(made.folder), ShardReader(made.uri)[:]
    mine = index[index["source_uri"] == uri].set_index("candidate")
    assert data["image"].shape == (12, 16, 16)
    assert data["dynspec"].shape == (12, 16, 12)
    assert all(np.isfinite(values).all() for values in data.values())
    assert mine["label"].tolist() == ["unvetted", "astro", "injection", "unvetted", "unvetted", "unvetted"]
    assert data["label"][mine["record"]].tolist() == [0, 1, 2, 0, 0, 0]
    assert mine.loc[2, ["dm", "injected_dm", "injected_snr"]].tolist() == [200.0, 205.0, 12.5]
    assert mine["injected_dm"].isna().sum() == 5
    assert mine["simulated"].tolist() == [i == 2 for i in range(6)]
    assert mine["edge"].tolist() == [1, 0, 0, 0, 0, 0]
    np.testing.assert_array_equal(data["image"][mine.loc[3, "record"]], Product(uri, "image").read()[3])


def test_what_a_person_said_is_the_label(search, build):
    uri = search(0, known="PSR J0000")
    for number, verdict in [(0, "reject"), (1, "reject"), (3, "accept"), (4, "accept"), (4, "clear")]:
        decide("candidates", f"{0:08d}{number:08d}", verdict, "someone")
    build(kind="cutouts")
    index = read_index(version("cutouts").folder).set_index("candidate")
    assert index["label"][range(6)].tolist() == ["rejected", "rejected", "injection", "astro", "unvetted", "unvetted"]
    assert index["source_uri"].unique().tolist() == [uri]


def test_a_known_source_is_one_group_over_all_nights(search, build):
    for seed in range(4):
        search(seed, known="PSR J0000")
    build(kind="cutouts")
    index = read_index(version("cutouts").folder)
    astro = index[index["label"] == "astro"]
    assert astro["group"].unique().tolist() == ["source:PSR J0000"]
    assert astro["split"].nunique() == 1
    assert index["group"].nunique() == 1 + 4 * 5


def test_rebinned_noise_stays_noise():
    noise = np.random.default_rng(0).standard_normal((3, 100, 4000)).astype("f4")
    noise[:, 10:50] = np.nan
    spread = rebinned(noise, 16).std(axis=(0, 2))
    assert ((spread == 0) | (np.abs(spread - 1) < 0.05)).all()
    np.testing.assert_array_equal(rebinned(noise[:, 50:66], 16), noise[:, 50:66])


def test_grasps_keep_failures_and_leave_out_what_nobody_judged(grasp, build):
    uri = grasp(0, "box")
    grasp(1, "cone")
    build(kind="grasps")
    made = version("grasps")
    index, data = read_index(made.folder), ShardReader(made.uri)[:]
    mine = index[index["source_uri"] == uri].set_index("grasp")
    # 0, 4, 8, ... were not judged, 5 goes too deep, 7 is 6 again
    assert mine.index.tolist() == [1, 2, 3, 6, 9, 10, 11, 13, 14, 15, 17, 18, 19]
    assert mine["label"].tolist() == ["success" if i % 2 == 0 else "failure" for i in mine.index]
    assert data["success"][mine["record"]].tolist() == [i % 2 == 0 for i in mine.index]
    np.testing.assert_array_equal(data["qpos"][mine["record"]], Product(uri, "qpos").read()[mine.index])
    assert index["simulated"].all()
    assert set(index["group"]) == {"object:box", "object:cone"}


def test_a_dataset_holds_one_hand(grasp, build):
    grasp(0, "box")
    other = grasp(1, "box", hand="shadow", dof=6)
    build(kind="grasps", hand="shadow")
    assert read_index(version("grasps-shadow").folder)["source_uri"].unique().tolist() == [other]
    with pytest.raises(BadInputError, match="no product"):
        build(kind="grasps", hand="leap")


def test_joints_beyond_their_limits_fail_the_build(grasp, build):
    grasp(0, "box", joint_limits=[[-1e3, 1e3]] * 4)
    build(kind="grasps")
    grasp(1, "cone", joint_limits=[[-0.5, 0.5]] + [[-1e3, 1e3]] * 3)
    with pytest.raises(BadInputError, match="gate joint_excess failed"):
        build(kind="grasps")


def test_the_squeeze_may_ask_for_more_than_the_joints_can_do():
    qpos = np.zeros((2, 3, 9))
    qpos[0, 2, 7], qpos[1, 1, 8] = 5, -0.75
    np.testing.assert_allclose(joint_excess(qpos, [[-0.5, 0.5]] * 2), [0, 0.25])


def test_injected_pulses_without_a_recovery_curve_fail_the_build(search, build):
    search(0)
    build(kind="cutouts")
    search(1, curve=False)
    with pytest.raises(BadInputError, match="gate without_curve failed: found 1, limit 0"):
        build(kind="cutouts")


def test_the_night_ends_with_a_dataset_for_everything_new(grasp, search):
    made = [
        ("grasps", grasp(0, "box")),
        ("grasps", grasp(1, "box", hand="shadow")),
        ("cutouts", search(0)),
        ("picture", "x"),
    ]
    asked = closing([ProductSummary(id="", name="", kind=kind, uri=uri) for kind, uri in made])
    assert [p.dataset_name for p in asked] == ["cutouts", "grasps-allegro", "grasps-shadow"]


def test_every_kind_can_be_asked_for_cut_and_supplied():
    assert set(get_args(DatasetParams.model_fields["kind"].annotation)) == set(KINDS) == set(ORIGINS)

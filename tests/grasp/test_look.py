"""What `nightloom doctor` says of meshes and of a person's own hand."""

from shutil import copy

import pytest

from deployments.doctors import examine_file
from flows.grasp import GraspParams, accepts, describe
from storage.sources import resolve
from tasks.grasp import load_hand
from tests.grasp.test_bad_input import CUBE, obj


def findings(path):
    healthy, rows = examine_file(path)
    return healthy, {row["what"]: row["found"] for row in rows}


@pytest.fixture
def hand(tmp_path):
    known, mine = load_hand("allegro").mjcf, tmp_path / "mine.xml"
    copy(known, mine)
    copy(known.with_suffix(".yaml"), mine.with_suffix(".yaml"))
    return mine


def test_a_mesh_is_described(tmp_path):
    small = "\n".join(line.replace("1", "0.06") if line[0] == "v" else line for line in CUBE.splitlines())
    healthy, told = findings(obj(tmp_path, small, "small.obj"))
    assert healthy and told["taken by"] == "grasp"
    assert (
        told["watertight"] and told["convex_pieces"] == 1 and told["size_mm"] == [60.0] * 3 and told["triangles"] == 12
    )


def test_a_mesh_in_millimetres_is_given_a_scale(tmp_path):
    large = "\n".join(line.replace("1", "60") if line[0] == "v" else line for line in CUBE.splitlines())
    healthy, told = findings(obj(tmp_path, large))
    assert not healthy and told["size_in_file_units"] == [60.0] * 3 and "scale=0.001" in told["problem"]


def test_an_open_mesh_says_how_many_edges_are_open(tmp_path):
    half = "".join(f"{line}\n" for line in CUBE.splitlines() if not line.startswith(("f 5", "f 1 2", "f 1 6")))
    healthy, told = findings(obj(tmp_path, half))
    assert not healthy and not told["watertight"] and told["open_edges"] > 0 and "is open" in told["problem"]


def test_damaged_files_are_told_not_raised(tmp_path):
    broken = tmp_path / "broken.npz"
    broken.write_bytes(b"no archive")
    assert not accepts(broken) and describe(broken) == {}
    assert not describe(obj(tmp_path, "", "empty.obj"))["ok"]


def test_an_own_hand_is_described(hand):
    healthy, told = findings(hand)
    assert healthy and told["part of"] == "grasp" and not accepts(hand)
    assert told["joints"].startswith("16: ") and told["contact_sites"] == "4: 3 of fingers, 1 of thumbs"


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("contacts:", "touches:", "must have the entries palm and contacts"),
        ("group: thumb", "group: toe", "has group 'toe'; expected finger or thumb"),
        ("radius: ", "radius: -", r"has radius -[\d.]+; expected a positive number"),
        ("torque_limit: ", "torque_limit: -", "expected a positive number"),
        ("palm: {normal: [", "palm: {normal: [5, ", "palm.normal must be three numbers"),
        ("palm: {", "palm: [{", "cannot be read as YAML"),
        ("body: ", "body: no_such_", "has no body 'no_such_"),
        ("rest: {", "rest: {elbow: 1, ", "has no joint 'elbow'"),
    ],
)
def test_wrong_contact_sites_get_a_sentence(hand, old, new, sentence):
    import re

    sites = hand.with_suffix(".yaml")
    assert old in sites.read_text()
    sites.write_text(sites.read_text().replace(old, new, 1))
    healthy, told = findings(hand)
    assert not healthy and re.search(sentence, told["grasp"]), told


def test_a_hand_without_sites_or_actuators_gets_a_sentence(hand):
    text = hand.read_text()
    hand.write_text(text[: text.index("  <actuator>")] + "</mujoco>")
    assert "has no actuators" in findings(hand)[1]["grasp"]
    hand.with_suffix(".yaml").unlink()
    load_hand.cache_clear()
    assert "has no contact sites" in findings(hand)[1]["grasp"]


def test_what_a_model_includes_is_an_input_of_the_run(hand, tmp_path, home):
    (tmp_path / "meshes").mkdir()
    mesh, part = tmp_path / "meshes/tip.stl", tmp_path / "part.xml"
    mesh.write_bytes(b"solid")
    asset = '<asset><mesh name="tip" file="tip.stl"/></asset>'
    part.write_text(f"<mujocoinclude>{asset}</mujocoinclude>")
    more = '<compiler meshdir="meshes"/><include file="part.xml"/></mujoco>'  # set in one file, needed in the other
    hand.write_text(hand.read_text().replace("</mujoco>", more))
    params = GraspParams(source=str(obj(tmp_path, CUBE)), hand=str(hand))
    before = resolve("hand", params.inputs()["hand"]).digest
    for changed in (part, mesh):
        changed.write_bytes(changed.read_bytes() + b" ")
        after = resolve("hand", params.inputs()["hand"]).digest
        assert after != before
        before = after

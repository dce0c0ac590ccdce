"""Every bad input gets one sentence that says what was found and what to do."""

import numpy as np
import pytest

from tasks.grasp import load_hand, load_object, synthesize, validate
from tests.grasp.shapes import box

CUBE = """v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nv 0 0 1\nv 1 0 1\nv 1 1 1\nv 0 1 1
f 1 3 2\nf 1 4 3\nf 5 6 7\nf 5 7 8\nf 1 2 6\nf 1 6 5\nf 2 3 7\nf 2 7 6\nf 3 4 8\nf 3 8 7\nf 4 1 5\nf 4 5 8\n"""


def obj(folder, text, name="thing.obj"):
    path = folder / name
    path.write_text(text)
    return path


def test_millimetres_are_recognised(tmp_path):
    vertices = [line.replace("1", "60") if line[0] == "v" else line for line in CUBE.splitlines()]
    path = obj(tmp_path, "\n".join(vertices))
    with pytest.raises(ValueError, match=r"thing.obj is 60 m long.*scale=0.001"):
        load_object(path)
    assert np.allclose(load_object(path, scale=0.001).extents, 0.06)


def test_a_small_hole_is_filled_and_reported(tmp_path):
    sphere = pytest.importorskip("trimesh").creation.icosphere(subdivisions=3, radius=0.03)
    sphere.update_faces(np.arange(len(sphere.faces)) != 7)
    path = tmp_path / "ball.ply"
    sphere.export(path)
    found = load_object(path)
    assert found.report[0].startswith("3 open edges, 3 of them repaired")
    assert len(found.pieces) == 1


def test_an_open_surface_is_refused_with_its_open_edges(tmp_path):
    half = "".join(f"{line}\n" for line in CUBE.splitlines() if not line.startswith(("f 5", "f 1 2", "f 1 6")))
    with pytest.raises(ValueError, match=r"is open: \d+ edges do not join two triangles"):
        load_object(obj(tmp_path, half), scale=0.06)


def test_degenerate_triangles_are_dropped_and_reported(tmp_path):
    found = load_object(obj(tmp_path, CUBE + "f 1 1 2\nf 3 3 3\n"), scale=0.06)
    assert "degenerate" in found.report[0]


def test_an_empty_or_flat_mesh_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"no faces|cannot be read"):
        load_object(obj(tmp_path, "v 0 0 0\n"))
    np.savez(
        tmp_path / "flat.npz",
        vertices=np.zeros((4, 3)),
        faces=np.zeros((1, 3), int),
        n_pieces=1,
        piece00_v=np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]]) * 0.05,
        piece00_f=np.array([[0, 1, 2]]),
    )
    with pytest.raises(ValueError, match="no solid piece"):
        load_object(tmp_path / "flat.npz")


def test_what_is_no_mesh_is_refused(tmp_path):
    with pytest.raises(ValueError, match="not a mesh; expected one of"):
        load_object(tmp_path / "cube.txt")
    with pytest.raises(ValueError, match="scale must be positive"):
        load_object(tmp_path / "cube.obj", scale=0)
    np.savez(tmp_path / "other.npz", image=np.zeros(3))
    with pytest.raises(ValueError, match="has no vertices, faces, n_pieces"):
        load_object(tmp_path / "other.npz")


def test_an_unknown_hand_is_refused():
    with pytest.raises(ValueError, match="'barrett' is unknown; give one of allegro, leap, shadow"):
        load_hand("barrett")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda text: text[: text.index("  <actuator>")] + "</mujoco>", "has no actuators"),
        (lambda text: text.replace('type="capsule"', 'type="cylinder"'), "neither box, capsule"),
    ],
)
def test_a_hand_that_does_not_fit_is_refused(tmp_path, change, sentence):
    known = load_hand("allegro").mjcf
    mine = tmp_path / "mine.xml"
    mine.write_text(change(known.read_text()))
    with pytest.raises(ValueError, match=r"has no contact sites; write them to mine\.yaml"):
        load_hand(str(mine))
    mine.with_suffix(".yaml").write_text(known.with_suffix(".yaml").read_text())
    with pytest.raises(ValueError, match=sentence):
        load_hand(str(mine))


def test_wrong_numbers_are_refused():
    hand, thing = load_hand("allegro"), box((0.05, 0.05, 0.05))
    with pytest.raises(ValueError, match="n must be positive"):
        synthesize(hand, thing, n=0)
    with pytest.raises(ValueError, match=r"expected \(grasp, 3, 23\)"):
        validate(hand, np.zeros((2, 3, 29)), thing)
    with pytest.raises(ValueError, match="test must be"):
        validate(hand, np.zeros((2, 3, 23)), thing, test="shaking")

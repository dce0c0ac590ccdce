"""Learned denoisers, on graphs built here: windowed equals unwindowed, any number of bands, no seam."""

import numpy as np
import pytest
from scipy.ndimage import uniform_filter1d

from tasks.denoise import denoise

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

CUBE = np.random.default_rng(0).random((70, 60, 11)).astype(np.float32)


def save(path, nodes, shape=(1, 1, "b", "y", "x"), initializers=()):
    from onnx import TensorProto, helper

    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("in", "out")]
    graph = helper.make_graph(nodes, "test", ends[:1], ends[1:], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, path)
    return str(path)


def box(path, size=(3, 9, 9)):
    from onnx import helper, numpy_helper

    weight = np.full((1, 1, *size), 1 / np.prod(size), np.float32)
    pads = [s // 2 for s in size] * 2
    node = helper.make_node("Conv", ["in", "w"], ["out"], pads=pads)
    return save(path, [node], initializers=[numpy_helper.from_array(weight, "w")])


def test_the_identity_changes_nothing(tmp_path):
    from onnx import helper

    model = save(tmp_path / "identity.onnx", [helper.make_node("Identity", ["in"], ["out"])])
    assert np.allclose(denoise(CUBE, "onnx", model=model, window=(32, 32, 5)), CUBE, atol=1e-6)


def test_a_box_filter_leaves_no_seam(tmp_path):
    model = box(tmp_path / "box.onnx")
    found = denoise(CUBE, "onnx", model=model, reach=(4, 4, 1), window=(30, 26, 7))
    want = CUBE
    for axis, size in ((0, 9), (1, 9), (2, 3)):
        want = uniform_filter1d(want, size, axis=axis, mode="constant")
    assert np.abs(found - want).max() < 1e-5


def test_a_model_of_the_wrong_shape_is_refused(tmp_path):
    from onnx import helper

    flat = save(tmp_path / "flat.onnx", [helper.make_node("Identity", ["in"], ["out"])], ("n", "m"))
    with pytest.raises(ValueError, match=r"expected \(1, band, y, x\)"):
        denoise(CUBE, "onnx", model=flat)
    large = save(tmp_path / "large.onnx", [helper.make_node("Identity", ["in"], ["out"])], (1, 1, 31, 64, 64))
    with pytest.raises(ValueError, match="takes 64 samples along x, but the cube has 60"):
        denoise(CUBE, "onnx", model=large)

"""The undecimated wavelet: an orthonormal transform, seen from all shifts at once."""

import numpy as np
import pytest

from tasks.array.namespace import to_host
from tasks.array.wavelet import SYM4, analyse, filters, magnitude_counts, reach, synthesise
from tests.array.ptx import compile_all
from tests.array.wavelet_oracle import analysed, synthesised

SHAPES = [(1, 16, 16), (2, 13, 21), (1, 3, 40), (1, 1, 1)]


def images(xp, shape):
    return xp.asarray(np.random.default_rng(sum(shape)).standard_normal(shape), dtype=np.float32)


def taps(xp):
    return tuple(xp.asarray(f) for f in filters())


def test_filters_are_orthonormal():
    low, high = (f.astype(float) for f in filters())
    assert np.isclose(low.sum(), np.sqrt(2)) and abs(high.sum()) < 1e-6
    for shift in range(0, len(SYM4), 2):
        want = float(shift == 0)
        assert np.isclose(low[shift:] @ low[: len(low) - shift], want, atol=1e-6)
        assert np.isclose(high[shift:] @ high[: len(high) - shift], want, atol=1e-6)
        assert np.isclose(low[shift:] @ high[: len(high) - shift], 0, atol=1e-6)
    assert all(abs((high * np.arange(8.0) ** p).sum()) < 1e-4 for p in range(4))  # four vanishing moments


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("step", [1, 2, 8])
def test_equals_the_oracle(xp, shape, step):
    image = images(xp, shape)
    low, high = taps(xp)
    coarse, details = analyse(image, low, high, step)
    want_coarse, want_details = analysed(to_host(image), *filters(), step)

    assert np.allclose(to_host(coarse), want_coarse, atol=2e-6)  # sums of 64 float32 products
    assert np.allclose(to_host(details), want_details, atol=2e-6)
    back = synthesise(coarse, details, low, high, step)
    assert np.allclose(to_host(back), synthesised(want_coarse, want_details, *filters(), step), atol=2e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_synthesis_undoes_analysis(xp, shape):
    image = images(xp, shape)
    low, high = taps(xp)
    for step in (1, 2, 4):
        back = synthesise(*analyse(image, low, high, step), low, high, step)
        assert np.allclose(to_host(back), to_host(image), atol=2e-6)


def test_energy_is_four_times_that_of_the_image(xp):
    image = images(xp, (1, 32, 24))
    coarse, details = analyse(image, *taps(xp), 1)
    energy = float((coarse**2).sum() + (details**2).sum())
    assert np.isclose(energy, 4 * float((image**2).sum()), rtol=1e-5)


def test_commutes_with_shifts(xp):
    image = images(xp, (1, 16, 20))
    _, details = analyse(image, *taps(xp), 2)
    _, shifted = analyse(xp.roll(image, (3, 5), (1, 2)), *taps(xp), 2)
    assert np.array_equal(to_host(shifted), to_host(xp.roll(details, (3, 5), (2, 3))))


def test_reach_is_enough_and_not_too_much():
    impulse = np.zeros((1, 200, 1), np.float32)
    impulse[0, 100] = 1
    low, high = filters()
    stack, coarse = [], impulse
    for level in range(3):
        coarse, details = analyse(coarse, low, high, 2**level)
        stack.append(details * 1.5)
    for level in reversed(range(3)):
        coarse = synthesise(coarse, stack[level], low, high, 2**level)
    touched = np.flatnonzero(np.abs(coarse[0, :, 0]) > 0)
    assert 100 - touched.min() <= reach(3) and touched.max() - 100 <= reach(3)
    assert touched.max() - touched.min() > reach(3)


def test_counts_are_a_histogram(xp):
    values = images(xp, (2, 30, 11))
    weights = images(xp, (1, 30, 11))[0] > 0
    counts = to_host(magnitude_counts(values, weights, 16.0, 33))
    edges = np.append(np.arange(33) / 16, np.inf)
    for image, found in zip(to_host(values), counts, strict=True):
        assert np.array_equal(found, np.histogram(np.abs(image[to_host(weights)]), edges)[0])


def test_wrong_input_is_refused():
    low, high = filters()
    with pytest.raises(ValueError, match="2 axes of float32"):
        analyse(np.zeros((4, 4), np.float32), low, high, 1)
    with pytest.raises(ValueError, match="float64"):
        analyse(np.zeros((1, 4, 4)), low, high, 1)
    with pytest.raises(ValueError, match="at least 1 pixel"):
        analyse(np.zeros((1, 4, 4), np.float32), low, high, 0)


KERNELS = {
    "tasks.array.wavelet._gpu:split_rows": "A(float32,3), A(float32,1), A(float32,1), int32, A(float32,3), A(float32,3)",
    "tasks.array.wavelet._gpu:split_columns": "A(float32,3), A(float32,3), A(float32,1), A(float32,1), int32, "
    "A(float32,3), A(float32,4)",
    "tasks.array.wavelet._gpu:join_columns": "A(float32,3), A(float32,4), A(float32,1), A(float32,1), int32, "
    "A(float32,3), A(float32,3)",
    "tasks.array.wavelet._gpu:join_rows": "A(float32,3), A(float32,3), A(float32,1), A(float32,1), int32, A(float32,3)",
    "tasks.array.wavelet._gpu:count_bins": "A(float32,3), A(boolean,2), float32, A(int64,2)",
}


@pytest.mark.parametrize("cc", [(8, 0), (9, 0)])
def test_the_gpu_kernels_compile_without_float64(cc):
    for name, ptx in compile_all(KERNELS, cc).items():
        assert f".target sm_{cc[0]}{cc[1]}" in ptx, name
        assert ".f64" not in ptx, name

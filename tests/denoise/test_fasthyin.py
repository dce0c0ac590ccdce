"""Inpainting: what is missing is filled, better than one regression would, and nothing masked has influence."""

import numpy as np
import pytest

from tasks.array.namespace import to_host
from tasks.denoise import denoise
from tests.denoise.scenes import noisy, scene

SIGMA = 0.03
CLEAN = scene(64, 64)
CUBE = noisy(CLEAN, SIGMA)


def error(restored, where):
    return float(np.sqrt(((to_host(restored) - CLEAN)[where] ** 2).mean()))


def gaps(kind):
    rng = np.random.default_rng(2)
    mask = rng.random(CUBE.shape) > (0.3 if kind == "samples" else 0.0)
    if kind == "pixels":
        mask &= (rng.random(CUBE.shape[:2]) > 0.2)[..., None]
    if kind == "lines":
        mask[:, 10:13, :12] = mask[20:22, :, 5:] = False
    return mask


@pytest.mark.parametrize("kind", ["samples", "pixels", "lines"])
def test_gaps_are_filled_better_than_by_one_regression(xp, kind):
    mask = gaps(kind)
    holed = xp.asarray(np.where(mask, CUBE, np.float32(np.nan)))
    filled = denoise(holed, "fasthyin", mask=xp.asarray(mask))
    once = denoise(holed, "fasthyde", mask=xp.asarray(mask))

    assert error(filled, ~mask) < 0.9 * error(once, ~mask)
    assert error(filled, mask) < 1.02 * error(once, mask)
    assert error(filled, ~mask) < SIGMA * {"samples": 0.2, "pixels": 0.4, "lines": 0.8}[kind]


def test_without_gaps_it_is_fasthyde():
    assert np.array_equal(denoise(CUBE, "fasthyin"), denoise(CUBE, "fasthyde"))


def test_the_same_gaps_give_the_same_bits():
    mask = gaps("samples")
    restored = denoise(CUBE, "fasthyin", mask=mask)
    assert np.array_equal(restored, denoise(np.where(mask, CUBE, np.float32(7)), "fasthyin", mask=mask))


def test_missing_counts():
    mask = gaps("samples")
    clean = 60 * CLEAN
    counts = np.where(mask, np.random.default_rng(3).poisson(clean), -1)
    restored = denoise(counts, "fasthyin", mask=mask, noise="poisson")
    assert np.abs(restored - clean)[~mask].mean() < 0.25 * np.sqrt(clean).mean()


def test_one_clear_sentence():
    with pytest.raises(ValueError, match="repeats is -1"):
        denoise(CUBE, "fasthyin", repeats=-1)
    with pytest.raises(ValueError, match="no sample valid"):
        denoise(CUBE, "fasthyin", mask=np.zeros(CUBE.shape, bool))

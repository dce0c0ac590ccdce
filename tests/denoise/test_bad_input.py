"""Every input a method cannot use gets one sentence that says what was found, what was expected and what to do."""

import numpy as np
import pytest

from tasks.denoise import denoise
from tests.denoise.scenes import noisy, scene

CUBE = noisy(scene(16, 16, 8))
NAN = CUBE.copy()
NAN[2, 3, 4] = np.nan


@pytest.mark.parametrize(
    ("cube", "options", "words"),
    [
        (CUBE[..., 0], {}, "three non-empty axes"),
        (CUBE[..., :0], {}, "three non-empty axes"),
        (CUBE.astype(complex), {}, "integers or real floats"),
        (CUBE.astype(object), {}, "integers or real floats"),
        (NAN, {}, "1 samples are NaN"),
        (NAN * np.nan, {}, "NaN or infinite but not masked"),
        (CUBE, {"mask": np.zeros(CUBE.shape, bool)}, "no sample valid"),
        (CUBE, {"mask": np.ones((3, 3), bool)}, r"mask has shape \(3, 3\)"),
        (CUBE, {"mask": np.ones(CUBE.shape)}, "expected booleans"),
        (CUBE, {"rank": 9}, "rank is 9, expected 1 to 8"),
        (CUBE, {"rank": 0}, "rank is 0"),
        (CUBE[:2, :4], {}, "8 pixels are valid .* more than the 8 bands"),
        (np.ones_like(CUBE), {}, "no usable band varies"),
        (CUBE, {"levels": 3}, "no parameter 'levels'"),
    ],
)
def test_one_clear_sentence(cube, options, words):
    with pytest.raises(ValueError, match=words) as caught:
        denoise(cube, "hyres", **options)
    assert "\n" not in str(caught.value)


def test_an_unknown_method_suggests_the_nearest():
    with pytest.raises(ValueError, match='did you mean "hyres"'):
        denoise(CUBE, "hires")

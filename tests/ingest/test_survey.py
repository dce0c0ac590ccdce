"""The survey of a cube does not depend on how it was cut."""

import numpy as np
import pytest

from tasks.array.tiling import tiles
from tasks.ingest.survey import surveyed, tile_record


@pytest.mark.parametrize("dtype", [np.float32, np.int8])
@pytest.mark.parametrize("tile", [1, 3, 100])
def test_a_survey_of_tiles_is_that_of_the_whole(dtype, tile):
    random = np.random.default_rng(0)
    values = random.integers(-50, 50, (7, 5, 4)).astype(dtype)
    valid = random.random(values.shape) < 0.7
    values[..., 2], valid[..., 3] = 9, False
    whole = [(*t.core, slice(None)) for t in tiles((7, 5), (tile, tile))]

    survey = surveyed(tile_record(values[r], valid[r], 2) for r in whole)

    assert survey.valid_fraction == valid.mean()
    assert list(survey.low[:3]) == [values[..., b][valid[..., b]].min() for b in range(3)]
    assert list(survey.high[:3]) == [values[..., b][valid[..., b]].max() for b in range(3)]
    assert (list(survey.constant), list(survey.empty)) == ([2], [3])
    assert survey.notes() == ("1 bands are constant: 2", "1 bands are without any valid value: 3")

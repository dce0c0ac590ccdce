"""Fixtures every test may use: the array backends present."""

import numpy as np
import pytest

from tasks.array.namespace import _cupy


@pytest.fixture(params=["numpy", "cupy"])
def xp(request):
    """Each array module this machine can run: NumPy everywhere, CuPy where a GPU answers."""
    if request.param == "numpy":
        return np
    cupy = _cupy()
    if cupy is None:
        pytest.skip("no GPU answers here: the CUDA twins are proven in the simulator and by compilation")
    return cupy

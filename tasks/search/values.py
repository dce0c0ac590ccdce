"""The types that the compiled kernels read: native integers and floats; half precision is widened tile by tile."""

from typing import Any

import numpy as np


def kernel_type(dtype: np.dtype) -> np.dtype:
    """The type in which values of ``dtype`` are searched."""
    return np.dtype(np.float32) if dtype == np.float16 else dtype.newbyteorder("=")


def readable(x: Any) -> Any:
    """``x`` itself where the kernels can read it, else a copy of a type that loses nothing."""
    return x.astype(kernel_type(x.dtype), copy=False)

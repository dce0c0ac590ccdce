"""Undecimated wavelet steps on the GPU: one thread per pixel gathers its taps, so nothing races.

The kernels index fully (slices would turn global loads into generic ones) and take their constants as float32: one
float64 literal would pull the whole sum into float64. The simulator runs these very kernels on NumPy arrays.
"""

from typing import Any

import numpy as np
from numba import cuda

from tasks.array.namespace import namespace
from tasks.array.wavelet import _formulas

BLOCK = (32, 8)
MAX_BATCH = 65535
"""Largest extent of a CUDA grid along its third axis."""

_wrap = cuda.jit(device=True)(_formulas.wrap)
_tap_offset = cuda.jit(device=True)(_formulas.tap_offset)
_bin_of = cuda.jit(device=True)(_formulas.bin_of)


@cuda.jit
def split_rows(image, low, high, step, smooth, detail):
    """Filter along x."""
    x, y, b = cuda.grid(3)
    n, ny, nx = image.shape
    if x >= nx or y >= ny or b >= n:
        return
    taps = low.size
    total_low, total_high = np.float32(0), np.float32(0)
    for k in range(taps):
        value = image[b, y, _wrap(x + _tap_offset(k, taps, step), nx)]
        total_low += low[k] * value
        total_high += high[k] * value
    smooth[b, y, x] = total_low
    detail[b, y, x] = total_high


@cuda.jit
def split_columns(smooth, detail, low, high, step, coarse, details):
    """Filter both halves along y."""
    x, y, b = cuda.grid(3)
    n, ny, nx = smooth.shape
    if x >= nx or y >= ny or b >= n:
        return
    taps = low.size
    zero = np.float32(0)
    low_low, high_low, low_high, high_high = zero, zero, zero, zero
    for k in range(taps):
        source = _wrap(y + _tap_offset(k, taps, step), ny)
        value, other = smooth[b, source, x], detail[b, source, x]
        low_low += low[k] * value
        high_low += high[k] * value
        low_high += low[k] * other
        high_high += high[k] * other
    coarse[b, y, x] = low_low
    details[b, 0, y, x] = high_low
    details[b, 1, y, x] = low_high
    details[b, 2, y, x] = high_high


@cuda.jit
def join_columns(coarse, details, low, high, step, smooth, detail):
    """Undo `split_columns`, times four."""
    x, y, b = cuda.grid(3)
    n, ny, nx = coarse.shape
    if x >= nx or y >= ny or b >= n:
        return
    taps = low.size
    quarter = np.float32(0.25)
    total_smooth, total_detail = np.float32(0), np.float32(0)
    for k in range(taps):
        source = _wrap(y - _tap_offset(k, taps, step), ny)
        total_smooth += quarter * low[k] * coarse[b, source, x]
        total_smooth += quarter * high[k] * details[b, 0, source, x]
        total_detail += quarter * low[k] * details[b, 1, source, x]
        total_detail += quarter * high[k] * details[b, 2, source, x]
    smooth[b, y, x] = total_smooth
    detail[b, y, x] = total_detail


@cuda.jit
def join_rows(smooth, detail, low, high, step, image):
    """Undo `split_rows`."""
    x, y, b = cuda.grid(3)
    n, ny, nx = image.shape
    if x >= nx or y >= ny or b >= n:
        return
    taps = low.size
    total = np.float32(0)
    for k in range(taps):
        source = _wrap(x - _tap_offset(k, taps, step), nx)
        total += low[k] * smooth[b, y, source]
        total += high[k] * detail[b, y, source]
    image[b, y, x] = total


@cuda.jit
def count_bins(values, weights, scale, counts):
    """Integer atomics: their order cannot change the sum."""
    x, y, b = cuda.grid(3)
    n, ny, nx = values.shape
    if x >= nx or y >= ny or b >= n:
        return
    if weights[y, x]:
        cuda.atomic.add(counts, (b, _bin_of(values[b, y, x], scale, counts.shape[1])), 1)


def analyse(image: Any, low: Any, high: Any, step: int) -> tuple[Any, Any]:
    """See `tasks.array.wavelet.analyse`."""
    xp = namespace(image)
    n, ny, nx = image.shape
    image = xp.ascontiguousarray(image)
    smooth, detail, coarse = (xp.empty((n, ny, nx), xp.float32) for _ in range(3))
    details = xp.empty((n, 3, ny, nx), xp.float32)
    _launch(split_rows, image.shape, image, low, high, np.int32(step), smooth, detail)
    _launch(split_columns, image.shape, smooth, detail, low, high, np.int32(step), coarse, details)
    return coarse, details


def synthesise(coarse: Any, details: Any, low: Any, high: Any, step: int) -> Any:
    """See `tasks.array.wavelet.synthesise`."""
    xp = namespace(coarse)
    coarse, details = xp.ascontiguousarray(coarse), xp.ascontiguousarray(details)
    smooth, detail, image = (xp.empty(coarse.shape, xp.float32) for _ in range(3))
    _launch(join_columns, coarse.shape, coarse, details, low, high, np.int32(step), smooth, detail)
    _launch(join_rows, coarse.shape, smooth, detail, low, high, np.int32(step), image)
    return image


def magnitude_counts(values: Any, weights: Any, scale: np.float32, n_bins: int) -> Any:
    """See `tasks.array.wavelet.magnitude_counts`."""
    xp = namespace(values)
    counts = xp.zeros((values.shape[0], n_bins), xp.int64)
    _launch(count_bins, values.shape, xp.ascontiguousarray(values), weights, np.float32(scale), counts)
    return counts


def _launch(kernel: Any, shape: tuple[int, ...], *args: Any) -> None:
    """Run ``kernel`` over (n, y, x) on the stream that CuPy is using."""
    n, ny, nx = shape
    if n > MAX_BATCH:
        raise ValueError(f"{n} images exceed the {MAX_BATCH} a GPU takes at once; pass them in batches")
    grid = (-(-nx // BLOCK[0]), -(-ny // BLOCK[1]), n)
    kernel[grid, (*BLOCK, 1), _stream(args[0])](*args)


def _stream(array: Any) -> Any:
    xp = namespace(array)
    if xp is np:
        return 0
    return cuda.external_stream(xp.cuda.get_current_stream().ptr)

"""The undecimated wavelet step in plain NumPy, float64: what both compiled twins are tested against."""

import numpy as np


def _filtered(image, taps, step, axis, sign):
    """Sum over taps of the image shifted by each tap's distance from the centre."""
    offsets = (np.arange(len(taps)) - len(taps) // 2) * step
    return sum(w * np.roll(image, -sign * o, axis) for w, o in zip(taps.astype(float), offsets, strict=True))


def analysed(image, low, high, step):
    smooth, detail = (_filtered(image.astype(float), taps, step, 2, 1) for taps in (low, high))
    parts = [_filtered(half, taps, step, 1, 1) for half in (smooth, detail) for taps in (low, high)]
    return parts[0], np.stack(parts[1:], 1)


def synthesised(coarse, details, low, high, step):
    smooth = _filtered(coarse, low, step, 1, -1) + _filtered(details[:, 0], high, step, 1, -1)
    detail = _filtered(details[:, 1], low, step, 1, -1) + _filtered(details[:, 2], high, step, 1, -1)
    return (_filtered(smooth, low, step, 2, -1) + _filtered(detail, high, step, 2, -1)) / 4

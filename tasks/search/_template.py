"""A pulse of any time, width and DM, smeared within samples and channels, matched against weighted data."""

import numpy as np

from tasks.array.compiled import jit

N_SUB = 8


@jit
def match(y: np.ndarray, u: np.ndarray, totals: np.ndarray, delay: np.ndarray, start: float, width: float):
    """S/N of a boxcar pulse at one pixel.

    ``y``, ``u`` (time, channel): weighted residuals and weights; ``totals`` (channel,): weight of the whole baseline
    stretch; ``delay`` (channel, N_SUB): arrival of each sub-channel after ``start``; all times in samples.
    """
    signal = energy = lost = 0.0
    n_time, n_channel = y.shape
    for c in range(n_channel):
        if totals[c] <= 0:
            continue
        first = max(0, int(np.floor(start + min(delay[c, 0], delay[c, -1]))))
        last = min(n_time, int(np.ceil(start + max(delay[c, 0], delay[c, -1]) + width)) + 1)
        common = 0.0
        for t in range(first, last):
            shape = 0.0
            for k in range(delay.shape[1]):
                begin = start + delay[c, k]
                shape += max(0.0, min(t + 1.0, begin + width) - max(float(t), begin))
            shape /= delay.shape[1]
            signal += shape * y[t, c]
            energy += shape * shape * u[t, c]
            common += shape * u[t, c]
        lost += common * common / totals[c]
    variance = energy - lost
    return signal / np.sqrt(variance) if variance > 0.1 * energy and energy > 0 else 0.0

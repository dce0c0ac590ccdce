"""A part of a scene, chosen by its size alone, on which models are fitted before every pixel is looked at."""

import numpy as np

MOST = 8192
"""Pixels in a sample: twenty times as many as the bands of a large sensor."""
ROWS = 512
GROUPS = 16


def sample_lines(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns whose crossings are the sample: long pieces of columns, because stripes run along them.

    Columns come in groups of neighbours spread over the scene, so that few chunks of a store are touched.
    """
    n_y, n_x = shape
    rows = np.unique(np.linspace(0, n_y - 1, min(n_y, ROWS)).astype(int))
    width = max(1, MOST // len(rows))
    if width >= n_x:
        return rows, np.arange(n_x)
    wide = -(-width // GROUPS)
    starts = np.linspace(0, n_x - wide, max(1, width // wide)).astype(int)
    return rows, np.unique(starts[:, None] + np.arange(wide))

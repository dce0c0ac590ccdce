"""Which patches are similar, on the CPU: one shift of the images against themselves serves all patches at once."""

import numpy as np

from tasks.array.compiled import jit
from tasks.denoise.patches._formulas import EDGE, ONE, ZERO

FAR = np.float32(3e38)


@jit
def _add_squares(total, a, b):
    for x in range(total.size):
        difference = a[x] - b[x]
        total[x] += difference * difference


@jit
def _column_sums(squares, y, first, last, sums):
    for x in range(first, last):
        total = squares[y, x]
        for i in range(1, EDGE):
            total += squares[y + i, x]
        sums[x] = total


@jit
def _keep_nearest(distances, places, distance, place):
    """Insert into a list sorted by distance; the first of two equals stays first."""
    at = distances.size - 1
    if distance >= distances[at]:
        return
    while at > 0 and distances[at - 1] > distance:
        distances[at], places[at] = distances[at - 1], places[at - 1]
        at -= 1
    distances[at], places[at] = distance, place


@jit
def find_similar(images, rows, cols, radius, n):
    """For the patch at each of ``rows`` x ``cols`` the ``n`` nearest ones within ``radius``, itself first.

    Returns (row * col, n) int32 places ``y * (X - 7) + x``. A shift of the images against themselves serves all
    patches at once: its squared differences are summed over components, then over columns, then over patches.
    """
    n_image, n_y, n_x = images.shape
    last_y, last_x = n_y - EDGE, n_x - EDGE
    distances = np.full((rows.size * cols.size, n), FAR)
    places = np.zeros((rows.size * cols.size, n), np.int32)
    squares, sums = np.empty((n_y, n_x), np.float32), np.empty(n_x, np.float32)
    for dy in range(-radius, radius + 1):
        y_first, y_last = max(0, -dy), min(n_y, n_y - dy)
        for dx in range(-radius, radius + 1):
            first, last = max(0, -dx), min(n_x, n_x - dx)
            if last - first < EDGE:
                continue
            for y in range(y_first, y_last):
                total = squares[y, first:last]
                total[:] = ZERO
                for c in range(n_image):
                    _add_squares(total, images[c, y, first:last], images[c, y + dy, first + dx : last + dx])
            for r in range(rows.size):
                y = rows[r]
                if y + dy < 0 or y + dy > last_y:
                    continue
                _column_sums(squares, y, first, last, sums)
                for q in range(cols.size):
                    x = cols[q]
                    if x + dx < 0 or x + dx > last_x:
                        continue
                    distance = -ONE
                    if dy != 0 or dx != 0:
                        distance = (sums[x] + sums[x + 1]) + (sums[x + 2] + sums[x + 3])
                        distance += (sums[x + 4] + sums[x + 5]) + (sums[x + 6] + sums[x + 7])
                    group = r * cols.size + q
                    _keep_nearest(distances[group], places[group], distance, (y + dy) * (last_x + 1) + x + dx)
    return places

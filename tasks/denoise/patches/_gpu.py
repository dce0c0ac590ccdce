"""The patch filter on the GPU: a thread per reference patch finds its group, a block of 64 threads filters it.

Thread t owns DCT coefficient t of every patch and component, so transforms across patches and components need no
exchange. Results are added up as integers: their order, which no GPU promises, cannot change the sum. The simulator
runs these very kernels on NumPy arrays.
"""

from typing import Any

import numpy as np
from numba import cuda

from tasks.array.namespace import namespace
from tasks.denoise.patches import _formulas
from tasks.denoise.patches._formulas import AREA, EDGE, HALF_ROOT, ONE, ZERO

MIXED = 12
"""Most components that are rotated together; the size of what the threads share."""

BLOCKS = 2048
"""Groups in flight; each has its scratch, so this bounds the memory."""

FAR = np.float32(3e38)
FRACTION = np.float32(2.0**32)
"""Integer steps per unit of weight: fine enough for float32, coarse enough for sums of 1e5 changes of 1e4 sigma."""

_kept = cuda.jit(device=True)(_formulas.kept)
_wiener_gain = cuda.jit(device=True)(_formulas.wiener_gain)
_diagonalise = _formulas.make_diagonalise(cuda.jit(device=True))


@cuda.jit
def search(images, rows, cols, radius, n, distances, places):
    """The ``n`` nearest patches of each reference patch, itself first; sums in the order of the CPU's."""
    group = cuda.grid(1)
    n_image, n_y, n_x = images.shape
    if group >= rows.size * cols.size:
        return
    y, x = rows[group // cols.size], cols[group % cols.size]
    last_y, last_x = n_y - EDGE, n_x - EDGE
    sums = cuda.local.array(8, np.float32)
    for at in range(n):
        distances[group, at] = FAR
    for dy in range(-radius, radius + 1):
        if y + dy < 0 or y + dy > last_y:
            continue
        for dx in range(-radius, radius + 1):
            if x + dx < 0 or x + dx > last_x:
                continue
            for i in range(EDGE):
                total = ZERO
                for j in range(EDGE):
                    square = ZERO
                    for c in range(n_image):
                        difference = images[c, y + j, x + i] - images[c, y + dy + j, x + dx + i]
                        square += difference * difference
                    total += square
                sums[i] = total
            distance = (sums[0] + sums[1]) + (sums[2] + sums[3])
            distance += (sums[4] + sums[5]) + (sums[6] + sums[7])
            if dy == 0 and dx == 0:
                distance = -ONE
            if distance < distances[group, n - 1]:
                at = n - 1
                while at > 0 and distances[group, at - 1] > distance:
                    distances[group, at] = distances[group, at - 1]
                    places[group, at] = places[group, at - 1]
                    at -= 1
                distances[group, at] = distance
                places[group, at] = (y + dy) * (last_x + 1) + x + dx


@cuda.jit(device=True)
def _gather(images, similar, g, basis, t, block, scratch):
    """DCT coefficient t of every patch of a group, then Haar across the patches."""
    n, n_patch_x = similar.shape[1], images.shape[2] - EDGE + 1
    for i in range(n):
        y, x = similar[g, i] // n_patch_x, similar[g, i] % n_patch_x
        for c in range(images.shape[0]):
            total = ZERO
            for j in range(AREA):
                total += basis[t, j] * images[c, y + j // EDGE, x + j % EDGE]
            scratch[block, i, c, t] = total
    step = 1
    while step < n:
        for i in range(0, n, 2 * step):
            for c in range(images.shape[0]):
                a, b = scratch[block, i, c, t], scratch[block, i + step, c, t]
                scratch[block, i, c, t] = (a + b) * HALF_ROOT
                scratch[block, i + step, c, t] = (a - b) * HALF_ROOT
        step *= 2


@cuda.jit(device=True)
def _covariance(scratch, block, n, n_image, t, matrix):
    """Second moments between components over all coefficients but the group's mean; a thread takes whole pairs."""
    pair = 0
    for p in range(n_image):
        for q in range(p + 1):
            if pair % AREA == t:
                total = -scratch[block, 0, p, 0] * scratch[block, 0, q, 0]
                for i in range(n):
                    for j in range(AREA):
                        total += scratch[block, i, p, j] * scratch[block, i, q, j]
                matrix[p, q] = total
                matrix[q, p] = total
            pair += 1


@cuda.jit(device=True)
def _shrink(scratch, pilots, block, n, n_image, t, vectors, level, wiener, kept):
    """Rotate to the group's axes, shrink, rotate back; ``kept``: the noise variance that stays in this thread."""
    turned = cuda.local.array(12, np.float32)
    for p in range(n_image):
        kept[p, t] = ZERO
    for i in range(n):
        for p in range(n_image):
            value, known = ZERO, ZERO
            for q in range(n_image):
                value += vectors[q, p] * scratch[block, i, q, t]
                if wiener:
                    known += vectors[q, p] * pilots[block, i, q, t]
            gain = _wiener_gain(known, level) if wiener else _kept(value, level)
            if not wiener and i == 0 and t == 0:
                gain = ONE
            turned[p] = gain * value
            kept[p, t] += gain * gain
        for c in range(n_image):
            value = ZERO
            for p in range(n_image):
                value += vectors[c, p] * turned[p]
            scratch[block, i, c, t] = value


@cuda.jit(device=True)
def _ungroup(scratch, block, n, n_image, t):
    """Undo Haar across the patches."""
    step = n // 2
    while step > 0:
        for i in range(0, n, 2 * step):
            for c in range(n_image):
                a, b = scratch[block, i, c, t], scratch[block, i + step, c, t]
                scratch[block, i, c, t] = (a + b) * HALF_ROOT
                scratch[block, i + step, c, t] = (a - b) * HALF_ROOT
        step //= 2


@cuda.jit(device=True)
def _scatter(images, similar, g, basis, taper, t, block, scratch, weights, numerator, denominator):
    """Pixel t of every patch: add what the filter changed in it."""
    n_patch_x = images.shape[2] - EDGE + 1
    for i in range(similar.shape[1]):
        y = similar[g, i] // n_patch_x + t // EDGE
        x = similar[g, i] % n_patch_x + t % EDGE
        for c in range(images.shape[0]):
            value = -images[c, y, x]
            for u in range(AREA):
                value += basis[u, t] * scratch[block, i, c, u]
            weight = weights[c] * taper[t] * FRACTION
            cuda.atomic.add(numerator, (c, y, x), np.int64(weight * value))
            cuda.atomic.add(denominator, (c, y, x), np.int64(weight))


@cuda.jit
def filter_groups(noisy, pilot, similar, basis, taper, level, wiener, scratch, pilots, numerator, denominator):
    """One block of 64 threads per group, as many groups in turn as there are more than blocks."""
    t, block = cuda.threadIdx.x, cuda.blockIdx.x
    # one per line: the simulator knows shared arrays by the line that asks for them
    matrix = cuda.shared.array((12, 12), np.float32)
    vectors = cuda.shared.array((12, 12), np.float32)
    kept = cuda.shared.array((12, 64), np.float32)
    weights = cuda.shared.array(12, np.float32)
    n_image, n = noisy.shape[0], similar.shape[1]
    g = block
    while g < similar.shape[0]:
        _gather(noisy, similar, g, basis, t, block, scratch)
        if wiener:
            _gather(pilot, similar, g, basis, t, block, pilots)
        cuda.syncthreads()
        if wiener:
            _covariance(pilots, block, n, n_image, t, matrix)
        else:
            _covariance(scratch, block, n, n_image, t, matrix)
        cuda.syncthreads()
        if t == 0:
            _diagonalise(matrix, vectors, n_image)
        cuda.syncthreads()
        _shrink(scratch, pilots, block, n, n_image, t, vectors, level, wiener, kept)
        _ungroup(scratch, block, n, n_image, t)
        cuda.syncthreads()
        if t < n_image:
            noise = ZERO
            for p in range(n_image):
                count = ZERO
                for j in range(AREA):
                    count += kept[p, j]
                noise += vectors[t, p] * vectors[t, p] * count
            weights[t] = ONE / max(noise, ONE)
        cuda.syncthreads()
        _scatter(noisy, similar, g, basis, taper, t, block, scratch, weights, numerator, denominator)
        cuda.syncthreads()
        g += cuda.gridDim.x


def find_similar(images: Any, rows: np.ndarray, cols: np.ndarray, radius: int, n: int) -> Any:
    """See `tasks.denoise.patches._cpu.find_similar`."""
    xp = namespace(images)
    n_group = rows.size * cols.size
    distances, places = xp.empty((n_group, n), xp.float32), xp.zeros((n_group, n), xp.int32)
    rows, cols = xp.asarray(rows, xp.int32), xp.asarray(cols, xp.int32)
    search[-(-n_group // 64), 64, _stream(images)](images, rows, cols, np.int32(radius), np.int32(n), distances, places)
    return places


def collaborate(noisy: Any, pilot: Any, similar: Any, lattice: tuple, level: np.float32, wiener: bool) -> Any:
    """See `tasks.denoise.patches._cpu.collaborate`; of the lattice nothing is needed here."""
    xp = namespace(noisy)
    if len(noisy) > MIXED:
        raise ValueError(f"{len(noisy)} images exceed the {MIXED} that are rotated together; pass them in batches")
    rows = _formulas.cosines()
    basis, taper = xp.asarray(np.kron(rows, rows)), xp.asarray(_formulas.taper())
    blocks = min(BLOCKS, len(similar))
    scratch = xp.empty((blocks, similar.shape[1], len(noisy), AREA), xp.float32)
    pilots = xp.empty_like(scratch) if wiener else scratch
    numerator, denominator = xp.zeros(noisy.shape, xp.int64), xp.zeros(noisy.shape, xp.int64)
    filter_groups[blocks, AREA, _stream(noisy)](
        noisy, pilot, similar, basis, taper, np.float32(level), wiener, scratch, pilots, numerator, denominator
    )
    return noisy + (numerator / xp.maximum(denominator, 1)).astype(xp.float32)


def _stream(array: Any) -> Any:
    xp = namespace(array)
    return 0 if xp is np else cuda.external_stream(xp.cuda.get_current_stream().ptr)

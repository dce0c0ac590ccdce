"""What the CPU and the GPU patch filters share: the shrinkage of one coefficient and the rotation of one group."""

import math
from collections.abc import Callable

import numpy as np

EDGE = 8
"""Edge of a patch [pixels]."""

AREA = EDGE * EDGE

ZERO, ONE, TWO = np.float32(0), np.float32(1), np.float32(2)
HALF_ROOT = np.float32(math.sqrt(0.5))
NEGLIGIBLE = np.float32(1e-6)
"""Correlation between two components that float32 cannot tell from none."""

SWEEPS = 6


def kept(value, level):
    """1 where a coefficient is large enough to be signal, else 0."""
    return ONE if value > level or -value > level else ZERO


def wiener_gain(pilot, level):
    """Share of a coefficient that is signal, given the pilot's and the (inflated) variance of the noise."""
    power = pilot * pilot
    return power / (power + level)


def make_diagonalise(jit: Callable) -> Callable:
    """``diagonalise`` compiled by ``jit``: it takes arrays, which a compiled helper of the simulator cannot."""

    def diagonalise(matrix, vectors, n):
        """Cyclic Jacobi: eigenvectors of the symmetric ``matrix`` into the columns of ``vectors``; both (>= n, >= n)."""
        for i in range(n):
            for j in range(n):
                vectors[i, j] = ZERO
            vectors[i, i] = ONE
        for _ in range(SWEEPS):
            turned = False
            for p in range(n - 1):
                for q in range(p + 1, n):
                    off = matrix[p, q]
                    if abs(off) <= NEGLIGIBLE * math.sqrt(abs(matrix[p, p]) * abs(matrix[q, q])):
                        continue
                    turned = True
                    theta = (matrix[q, q] - matrix[p, p]) / (TWO * off)
                    tangent = ONE / (abs(theta) + math.sqrt(theta * theta + ONE))
                    if theta < ZERO:
                        tangent = -tangent
                    cosine = ONE / math.sqrt(tangent * tangent + ONE)
                    sine = tangent * cosine
                    for i in range(n):
                        a, b = matrix[i, p], matrix[i, q]
                        matrix[i, p], matrix[i, q] = cosine * a - sine * b, sine * a + cosine * b
                        a, b = vectors[i, p], vectors[i, q]
                        vectors[i, p], vectors[i, q] = cosine * a - sine * b, sine * a + cosine * b
                    for i in range(n):
                        a, b = matrix[p, i], matrix[q, i]
                        matrix[p, i], matrix[q, i] = cosine * a - sine * b, sine * a + cosine * b
            if not turned:
                return

    return jit(diagonalise)


def cosines() -> np.ndarray:
    """(frequency, position) orthonormal DCT-II of one axis of a patch; float32."""
    position, frequency = np.arange(EDGE) + 0.5, np.arange(EDGE)[:, None]
    rows = np.sqrt(2 / EDGE) * np.cos(np.pi * frequency * position / EDGE)
    rows[0] = np.sqrt(1 / EDGE)
    return rows.astype(np.float32)


def taper() -> np.ndarray:
    """(pixel,) weights inside a patch: its middle is known best, its rim least; float32."""
    profile = np.kaiser(EDGE, 2.0)
    return np.outer(profile, profile).astype(np.float32).ravel()

"""Small objects made by formula, for the tests."""

import itertools

import numpy as np

from tasks.grasp.object import Object, _hull


def solid(points, name="solid") -> Object:
    """The convex hull of some points."""
    vertices, faces = _hull(np.asarray(points, float))
    return Object(name, ((vertices, faces),), vertices, faces)


def box(size) -> Object:
    """A box about the origin."""
    return solid([np.multiply(c, size) / 2 for c in itertools.product((-1, 1), repeat=3)], "box")


def ball(radius: float, n: int = 300) -> Object:
    """A sphere of evenly spread points."""
    i = np.arange(n) + 0.5
    polar, turn = np.arccos(1 - 2 * i / n), np.pi * (1 + 5**0.5) * i
    return solid(
        radius * np.column_stack([np.cos(turn) * np.sin(polar), np.sin(turn) * np.sin(polar), np.cos(polar)]), "ball"
    )

"""Farthest-first traversal on a GPU: there one pass over all points costs less than deciding which to skip."""

from typing import Any


def farthest_first(x: Any, given: Any, k: int) -> tuple[Any, Any]:
    """Select ``k`` points, each the farthest from ``given`` and those before; return them and the squared distances then."""
    import cupy

    near = cupy.full(len(x), cupy.inf, cupy.float32)
    for centre in given:
        near = cupy.minimum(near, ((x - centre) ** 2).sum(axis=1))
    chosen, reach = cupy.empty(k, cupy.int64), cupy.empty(k, cupy.float32)
    for step in range(k):  # no value comes back to the host before the end
        best = near.argmax()
        chosen[step], reach[step] = best, near[best]
        near = cupy.minimum(near, ((x - x[best]) ** 2).sum(axis=1))
    return chosen, reach

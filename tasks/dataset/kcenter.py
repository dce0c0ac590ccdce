"""k-center: the fewest points that leave no other point far away, by farthest-first traversal."""

from typing import Any

from tasks.array.namespace import namespace, native


def k_center(x: Any, k: int, covered: Any = None) -> tuple[Any, Any]:
    """Choose ``k`` rows so that the largest distance of any row to a chosen one is small (at most twice the optimum).

    Parameters
    ----------
    x : (record, feature) float array
        Embeddings.
    k : int
        How many to choose, at most as many as there are rows.
    covered : (earlier, feature) float array, optional
        Embeddings of samples that are in the set already; rows near them are chosen last.

    Returns
    -------
    chosen : (k,) int64 array
        Row numbers in the order of choice; the first ``j`` of them are the choice for ``j``. Of rows equally far the
        first is taken; without ``covered`` the choice begins with row 0.
    reach : (k,) float32 array
        Distance of each chosen row to those before it, which is the largest of any row then (infinite for the first, if nothing is covered).

    Raises
    ------
    ValueError
        If ``k`` is not between 0 and the number of rows, or a value is not finite.

    References
    ----------
    Gonzalez, *Clustering to minimize the maximum intercluster distance*, Theor. Comput. Sci. 38 (1985); the pruning
    follows Elkan, *Using the triangle inequality to accelerate k-means*, ICML 2003.
    """
    xp = namespace(x)
    x = xp.ascontiguousarray(x, xp.float32)
    if not 0 <= k <= len(x):
        raise ValueError(f"k is {k}, expected between 0 and the {len(x)} rows there are")
    given = xp.zeros((0, x.shape[1]), xp.float32) if covered is None else xp.ascontiguousarray(covered, xp.float32)
    if not (xp.isfinite(x).all() and xp.isfinite(given).all()):
        raise ValueError("embeddings hold NaN or infinite values; gate such samples out first")
    chosen, squares = native(x, __package__).farthest_first(x, given, k)
    return chosen, xp.sqrt(squares)

"""Content hashes: which samples are the same, byte for byte."""

from collections.abc import Sequence

import numpy as np
import xxhash


def content_hashes(arrays: Sequence[np.ndarray]) -> list[str]:
    """Hash of each sample over all its arrays, in their order, with their dtypes and shapes.

    Parameters
    ----------
    arrays : sequence of (record, ...) arrays
        Equal first axes.

    Raises
    ------
    ValueError
        If the arrays differ in their number of samples.
    """
    lengths = {len(a) for a in arrays}
    if len(lengths) != 1:
        raise ValueError(f"arrays of equally many samples were expected, found {sorted(lengths)}")
    form = ";".join(f"{a.dtype.str}{a.shape[1:]}" for a in arrays).encode()
    dense = [np.ascontiguousarray(a) for a in arrays]
    return [_hash(form, [a[i] for a in dense]) for i in range(lengths.pop())]


def first_of_each(hashes: Sequence[str], earlier: Sequence[str] = ()) -> np.ndarray:
    """Whether each hash is met for the first time, neither before in the row nor among ``earlier`` ones."""
    seen, fresh = set(earlier), np.zeros(len(hashes), bool)
    for i, value in enumerate(hashes):
        fresh[i] = value not in seen
        seen.add(value)
    return fresh


def _hash(form: bytes, parts: Sequence[np.ndarray]) -> str:
    state = xxhash.xxh3_128(form)
    for part in parts:
        state.update(np.ascontiguousarray(part).data)
    return state.hexdigest()

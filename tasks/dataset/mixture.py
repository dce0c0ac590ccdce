"""How many samples to take from where: classes that do not drown each other, sources mixed in stated proportions.

What is taken is decided by the rank of each sample's hash, so that a sample's fate does not depend on the order of
arrival, and that what was taken once is taken again.
"""

from collections.abc import Mapping, Sequence
from hashlib import blake2b

import numpy as np


def unit_hash(salt: str, key: str) -> float:
    """A number in [0, 1) that only salt and key determine."""
    digest = blake2b(key.encode(), key=blake2b(salt.encode(), digest_size=32).digest(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def class_limits(labels: Sequence[str], ratio: float) -> dict[str, int]:
    """Samples to take of each class, so that none has more than ``ratio`` times as many as the rarest.

    Raises
    ------
    ValueError
        If ``ratio`` is below one.
    """
    if not ratio >= 1:
        raise ValueError(f"the ratio of the largest to the smallest class must be at least 1, got {ratio}")
    names, counts = np.unique(np.asarray(labels, dtype=str), return_counts=True)
    most = int(counts.min(initial=len(labels)) * ratio)
    return {str(name): min(int(count), most) for name, count in zip(names, counts, strict=True)}


def mixture_limits(available: Mapping[str, int], weights: Mapping[str, float]) -> dict[str, int]:
    """Samples to take of each source: as many as there can be in the proportions of ``weights``.

    Raises
    ------
    ValueError
        If a source has no weight, or a weight is negative, or a weighted source has no samples.
    """
    for source, count in available.items():
        if not weights.get(source, -1) >= 0:
            raise ValueError(
                f"source {source!r} has no weight of zero or more; weights are given for {sorted(weights)}"
            )
        if weights[source] > 0 and count == 0:
            raise ValueError(
                f"source {source!r} has weight {weights[source]} but no samples; leave it out or select wider"
            )
    if missing := sorted(source for source, weight in weights.items() if weight > 0 and source not in available):
        raise ValueError(
            f"source {missing[0]!r} has weight {weights[missing[0]]} but no samples; leave it out or select wider"
        )
    total = min((available[s] / w for s, w in weights.items() if w > 0 and s in available), default=0.0)
    return {source: int(total * weights[source] + 1e-9) for source in available}


def take_by_rank(ids: Sequence[str], classes: Sequence[str], limits: Mapping[str, int], salt: str) -> np.ndarray:
    """Whether each sample is among the first ``limits[class]`` of its class in the order of their hashes."""
    taken, left = np.zeros(len(ids), bool), dict(limits)
    for i in sorted(range(len(ids)), key=lambda i: (unit_hash(salt, ids[i]), ids[i])):
        if left.get(classes[i], 0) > 0:
            taken[i] = True
            left[classes[i]] -= 1
    return taken

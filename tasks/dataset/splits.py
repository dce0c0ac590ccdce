"""Splits that survive growth: a group is given to a split once, with all groups like it, and stays there.

Groups that share near-duplicates are merged first. At the first version the merged groups are ranked by a salted hash
within each stratum and cut, because a hash against thresholds leaves small sets without a test split (20 groups, 10 %:
one in eight times). Later groups follow the hash. What was given is stored and never changed: if a new near-duplicate
bridges two splits, the sample on the side that comes first in the plan (train) is left out.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tasks.dataset.components import merge_groups
from tasks.dataset.mixture import unit_hash

FRACTIONS = {"train": 0.8, "val": 0.1, "test": 0.1}


@dataclass(frozen=True)
class SplitPlan:
    """Fractions of the groups, the split that may lose samples first; the salt makes datasets independent."""

    fractions: Mapping[str, float] = field(default_factory=lambda: dict(FRACTIONS))
    salt: str = ""

    def __post_init__(self) -> None:
        if (
            not self.fractions
            or not all(f >= 0 for f in self.fractions.values())
            or not sum(self.fractions.values()) > 0
        ):
            raise ValueError(f"split fractions must not be negative and not all zero, got {dict(self.fractions)}")

    @property
    def names(self) -> list[str]:
        """The splits, in the order in which they give way."""
        return list(self.fractions)

    def by_hash(self, key: str) -> str:
        """The split that the hash of ``key`` points to."""
        u, total = unit_hash(self.salt, key) * sum(self.fractions.values()), 0.0
        for name, fraction in self.fractions.items():
            total += fraction
            if u < total:
                return name
        return max(self.fractions, key=lambda name: self.fractions[name])

    def cut(self, n: int) -> list[str]:
        """The splits of ``n`` ranked groups: by largest remainder, and none empty if there are groups enough."""
        total = sum(self.fractions.values())
        exact = {name: n * f / total for name, f in self.fractions.items()}
        counts = {name: int(value) for name, value in exact.items()}
        rest = sorted(self.fractions, key=lambda name: (counts[name] - exact[name], self.names.index(name)))
        for name in rest[: n - sum(counts.values())]:
            counts[name] += 1
        wanted = [name for name, f in self.fractions.items() if f > 0]
        for name in wanted if n >= len(wanted) else []:
            if counts[name] == 0:
                counts[max(counts, key=lambda other: counts[other])] -= 1
                counts[name] = 1
        return [name for name in self.names for _ in range(counts[name])]


def assign_splits(
    groups: Mapping[str, str], links: Iterable[tuple[str, str]], stored: Mapping[str, str], plan: SplitPlan
) -> dict[str, str]:
    """Splits of the groups that have none yet.

    Parameters
    ----------
    groups : mapping of group to stratum
        All groups that now have samples; those in ``stored`` keep what they have.
    links : pairs of groups
        Groups that share near-duplicates, old ones among them.
    stored : mapping of group to split
        What earlier versions gave; empty at the first.

    Returns
    -------
    dict
        The new groups' splits.
    """
    links = list(links)
    new = {group for group in groups if group not in stored}
    merged = merge_groups(new, links)
    neighbours = _stored_neighbours(links, merged, stored)
    strata = _strata(groups, merged)
    free = sorted(set(merged.values()) - set(neighbours))
    given = {key: min(splits, key=plan.names.index) for key, splits in neighbours.items()}
    given |= _first_cut(free, strata, plan) if not stored else {key: plan.by_hash(key) for key in free}
    return {group: given[key] for group, key in merged.items()}


def crossing(pairs: Sequence[tuple[str, str]], split_of: Mapping[str, str], plan: SplitPlan) -> set[str]:
    """Samples to leave out so that no pair of near-duplicates has its samples in two splits.

    Parameters
    ----------
    pairs : pairs of sample ids
        Near-duplicates.
    split_of : mapping of sample id to split
        Samples that are not in it do not count.
    """
    out = set()
    for a, b in pairs:
        if a in split_of and b in split_of and split_of[a] != split_of[b]:
            out.add(min((a, b), key=lambda s: plan.names.index(split_of[s])))
    return out


def _stored_neighbours(
    links: Sequence[tuple[str, str]], merged: Mapping[str, str], stored: Mapping[str, str]
) -> dict[str, set[str]]:
    """For each merged group, the splits of the stored groups it is linked to, if any."""
    found: dict[str, set[str]] = defaultdict(set)
    for a, b in [*links, *((b, a) for a, b in links)]:
        if a in merged and b in stored:
            found[merged[a]].add(stored[b])
    return dict(found)


def _strata(groups: Mapping[str, str], merged: Mapping[str, str]) -> dict[str, str]:
    """The commonest stratum among the members of each merged group."""
    votes: dict[str, Counter[str]] = defaultdict(Counter)
    for group, key in merged.items():
        votes[key][groups[group]] += 1
    return {key: min(count, key=lambda s: (-count[s], s)) for key, count in votes.items()}


def _first_cut(keys: Sequence[str], strata: Mapping[str, str], plan: SplitPlan) -> dict[str, str]:
    size = Counter(strata[key] for key in keys)
    by_stratum: dict[str | None, list[str]] = defaultdict(list)
    for key in keys:  # strata of fewer groups than there are splits are cut together
        by_stratum[strata[key] if size[strata[key]] >= len(plan.names) else None].append(key)
    given = {}
    for members in by_stratum.values():
        ranked = sorted(members, key=lambda key: (unit_hash(plan.salt, key), key))
        given |= dict(zip(ranked, plan.cut(len(ranked)), strict=True))
    return given

"""Selection: which of the candidates enter a dataset, and into which split, given what is in it already."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from tasks.dataset.content import first_of_each
from tasks.dataset.facility import facility_location
from tasks.dataset.kcenter import k_center
from tasks.dataset.mixture import class_limits, mixture_limits, take_by_rank
from tasks.dataset.neighbours import near_duplicates
from tasks.dataset.sensitivity import sensitivities, sensitivity_sample
from tasks.dataset.splits import SplitPlan, assign_splits, crossing

Coreset = Literal["none", "k_center", "facility", "sensitivity"]


@dataclass(frozen=True)
class Pool:
    """Samples by column, one row each."""

    ids: Sequence[str]
    content: Sequence[str]
    labels: Sequence[str]
    groups: Sequence[str]
    strata: Sequence[str]
    embedding: np.ndarray
    splits: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.ids)

    def at(self, rows: Sequence[int] | np.ndarray) -> "Pool":
        """The samples at ``rows``."""
        names = ("ids", "content", "labels", "groups", "strata", "splits")
        picked = {name: [values[i] for i in rows] for name in names if (values := getattr(self, name))}
        return replace(self, embedding=self.embedding[np.asarray(rows, np.int64)], **picked)


@dataclass(frozen=True)
class Rules:
    """How to select.

    ``radius`` is the embedding distance of near-duplicates, of which one is kept; ``link_radius`` that within which
    two samples' groups must share a split. ``apart`` says that samples of different groups are never alike.
    """

    plan: SplitPlan = field(default_factory=SplitPlan)
    radius: float = 0.05
    link_radius: float = 0.1
    apart: bool = False
    class_ratio: float | None = None
    mixture: Mapping[str, float] = field(default_factory=dict)
    coreset: Coreset = "none"
    coreset_size: int = 0
    seed: int = 0


@dataclass
class Selection:
    """What was selected: candidate rows in their order, their splits and weights; and why the others were not.

    ``duplicates`` names each sample that was left out for another: (its id, that of the one it is like, their distance).
    """

    rows: list[int]
    splits: list[str]
    weights: np.ndarray
    new_groups: dict[str, str]
    removed: set[str]
    left_out: Counter[str]
    pairs: list[tuple[str, str]]
    duplicates: list[tuple[str, str, float]]


def select(candidates: Pool, usable: np.ndarray, earlier: Pool, stored: Mapping[str, str], rules: Rules) -> Selection:
    """Select from ``candidates``; ``earlier`` is what the dataset holds, ``stored`` every group's split so far."""
    left_out: Counter[str] = Counter()
    rows = [i for i, fit in enumerate(usable) if fit]
    left_out["not usable"] = len(candidates) - len(rows)
    fresh = first_of_each([candidates.content[i] for i in rows], earlier.content)
    links = _same_content(candidates, rows, earlier)
    duplicates = _copies(candidates, rows, fresh, earlier)
    rows = _keep(rows, fresh, "exact duplicate", left_out)
    pool = candidates.at(rows)
    within, across = _alike(pool, earlier, rules)
    links |= {(pool.groups[a], pool.groups[b]) for a, b, _ in within} | {
        (pool.groups[a], earlier.groups[b]) for a, b, _ in across
    }
    repeats = _repeats(pool, earlier, within, across, rules.radius)
    duplicates += [(pool.ids[i], like, d) for i, (like, d) in sorted(repeats.items())]
    rows = _keep(rows, np.array([i not in repeats for i in range(len(pool))], bool), "near-duplicate", left_out)
    strata = dict(zip(candidates.groups, candidates.strata, strict=True))
    new_groups = assign_splits(_strata_of(candidates, rows, strata), sorted(links), stored, rules.plan)
    split_of_group = {**stored, **new_groups}
    pairs = [(pool.ids[a], pool.ids[b]) for a, b, _ in within] + [(pool.ids[a], earlier.ids[b]) for a, b, _ in across]
    split_of = {candidates.ids[i]: split_of_group[candidates.groups[i]] for i in rows}
    split_of |= dict(zip(earlier.ids, earlier.splits, strict=True))
    bridging = crossing(pairs, split_of, rules.plan)
    rows = _keep(
        rows, np.array([candidates.ids[i] not in bridging for i in rows], bool), "bridges two splits", left_out
    )
    rows, weights = _thin(
        candidates, rows, [split_of_group[candidates.groups[i]] for i in rows], earlier, rules, left_out
    )
    return Selection(
        rows=rows,
        splits=[split_of_group[candidates.groups[i]] for i in rows],
        weights=weights,
        new_groups=new_groups,
        removed=bridging & set(earlier.ids),
        left_out=+left_out,
        pairs=pairs,
        duplicates=duplicates,
    )


def _keep(rows: list[int], keep: np.ndarray, reason: str, left_out: Counter[str]) -> list[int]:
    left_out[reason] += int((~keep).sum())
    return [i for i, kept in zip(rows, keep, strict=True) if kept]


def _same_content(candidates: Pool, rows: list[int], earlier: Pool) -> set[tuple[str, str]]:
    """Pairs of groups that share a sample byte for byte."""
    home = dict(zip(earlier.content, earlier.groups, strict=True))
    found = {(candidates.groups[i], home.setdefault(candidates.content[i], candidates.groups[i])) for i in rows}
    return {(a, b) for a, b in found if a != b}


def _copies(candidates: Pool, rows: list[int], fresh: np.ndarray, earlier: Pool) -> list[tuple[str, str, float]]:
    """Samples that are not ``fresh``, each with the one that it repeats byte for byte."""
    first = dict(zip(earlier.content, earlier.ids, strict=True))
    for i in rows:
        first.setdefault(candidates.content[i], candidates.ids[i])
    left = (i for i, kept in zip(rows, fresh, strict=True) if not kept)
    return [(candidates.ids[i], first[candidates.content[i]], 0.0) for i in left]


Near = list[tuple[int, int, float]]


def _alike(pool: Pool, earlier: Pool, rules: Rules) -> tuple[Near, Near]:
    """Pairs within the larger radius: among the pool, and of the pool with earlier samples."""
    reach = max(rules.radius, rules.link_radius)
    if not rules.apart:
        return _pairs(pool.embedding, reach), _pairs(pool.embedding, reach, earlier.embedding)
    within: Near = []
    across: Near = []
    old = _by_group(earlier)
    for group, rows in _by_group(pool).items():
        mine, theirs = pool.embedding[rows], old.get(group, np.zeros(0, np.int64))
        within += [(int(rows[a]), int(rows[b]), d) for a, b, d in _pairs(mine, reach)]
        across += [(int(rows[a]), int(theirs[b]), d) for a, b, d in _pairs(mine, reach, earlier.embedding[theirs])]
    return within, across


def _pairs(x: np.ndarray, reach: float, against: np.ndarray | None = None) -> Near:
    pairs, distance = near_duplicates(x, reach, against)
    return [(a, b, d) for (a, b), d in zip(pairs.tolist(), distance.tolist(), strict=True)]


def _by_group(pool: Pool) -> dict[str, np.ndarray]:
    found: dict[str, list[int]] = {}
    for i, group in enumerate(pool.groups):
        found.setdefault(group, []).append(i)
    return {group: np.array(rows) for group, rows in found.items()}


def _repeats(pool: Pool, earlier: Pool, within: Near, across: Near, radius: float) -> dict[int, tuple[str, float]]:
    """Samples like an earlier one, or like one that was kept before them; of each the id of that one and the distance."""
    found: dict[int, tuple[str, float]] = {}
    for a, b, d in across:
        if d <= radius:
            found.setdefault(a, (earlier.ids[b], d))
    for a, b, d in within:  # in ascending order: the fate of a is settled
        if d <= radius and a not in found:
            found.setdefault(b, (pool.ids[a], d))
    return found


def _strata_of(candidates: Pool, rows: list[int], strata: Mapping[str, str]) -> dict[str, str]:
    return {group: strata[group] for group in {candidates.groups[i] for i in rows}}


def _thin(
    candidates: Pool, rows: list[int], splits: Sequence[str], earlier: Pool, rules: Rules, left_out: Counter[str]
) -> tuple[list[int], np.ndarray]:
    """Balance, mix and choose a coreset, among the training samples only: what is evaluated on keeps its proportions."""
    first = rules.plan.names[0]
    train = [i for i, s in zip(rows, splits, strict=True) if s == first]
    others = [i for i, s in zip(rows, splits, strict=True) if s != first]
    if rules.class_ratio is not None:
        labels = [candidates.labels[i] for i in train]
        limits = class_limits(labels, rules.class_ratio)
        train = _keep(train, _taken(candidates, train, labels, limits, rules), "class balance", left_out)
    if rules.mixture:
        strata = [candidates.strata[i] for i in train]
        limits = mixture_limits(Counter(strata), rules.mixture)
        train = _keep(train, _taken(candidates, train, strata, limits, rules), "mixture", left_out)
    train, weights = _coreset(candidates, train, earlier, rules, left_out)
    weight_of = dict(zip(train, weights.tolist(), strict=True))
    rows = sorted(train + others)
    return rows, np.array([weight_of.get(i, 1.0) for i in rows])


def _taken(
    candidates: Pool, rows: list[int], classes: Sequence[str], limits: Mapping[str, int], rules: Rules
) -> np.ndarray:
    return take_by_rank([candidates.ids[i] for i in rows], classes, limits, f"{rules.plan.salt}:{rules.seed}")


def _coreset(
    candidates: Pool, rows: list[int], earlier: Pool, rules: Rules, left_out: Counter[str]
) -> tuple[list[int], np.ndarray]:
    if rules.coreset == "none" or len(rows) <= rules.coreset_size:
        return rows, np.ones(len(rows))
    x, k = candidates.embedding[rows], rules.coreset_size
    weights: Any = np.ones(k)
    if rules.coreset == "k_center":
        chosen, _ = k_center(x, k, earlier.embedding if len(earlier) else None)
    elif rules.coreset == "facility":
        chosen, _ = facility_location(x, k)
    else:
        chosen, weights = sensitivity_sample(sensitivities(x - x.mean(axis=0)), k, rules.seed)
    left_out["coreset"] += len(rows) - len(chosen)
    return [rows[i] for i in chosen.tolist()], weights

"""What a kind of dataset is made of: its arrays, where its samples lie in a source, and how they are read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

Position = tuple[int, ...]
Attrs = Mapping[str, Any]


class Readable(Protocol):
    """A stored array: a `storage.Product`, or anything that reads like one."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def attrs(self) -> Attrs: ...

    def read(self, region: tuple[slice, ...] | None = None) -> np.ndarray: ...


class Source(Protocol):
    """One product to take samples from, with the arrays a kind wants of it.

    ``group`` is what must not be torn apart by a split; ``stratum`` what each split should have its part of.
    """

    @property
    def id(self) -> str: ...
    @property
    def uri(self) -> str: ...
    @property
    def digest(self) -> str: ...
    @property
    def group(self) -> str: ...
    @property
    def stratum(self) -> str: ...
    @property
    def arrays(self) -> Mapping[str, Any]: ...
    @property
    def attrs(self) -> Attrs: ...


@dataclass(frozen=True)
class Field:
    """One array of a dataset, without its first axis."""

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str
    attrs: Attrs = field(default_factory=dict)


@dataclass(frozen=True)
class Constant:
    """Values that all samples share: wavelengths, frequencies, names of joints."""

    dims: tuple[str, ...]
    values: np.ndarray
    attrs: Attrs = field(default_factory=dict)


@dataclass(frozen=True)
class Samples:
    """Some samples: their arrays, one row of facts each, their labels, and whether they are fit to be used."""

    arrays: Mapping[str, np.ndarray]
    facts: Mapping[str, np.ndarray]
    labels: Sequence[str]
    usable: np.ndarray


class Kind(Protocol):
    """A kind of dataset.

    ``main`` is the array whose training statistics are kept, channel by channel if ``channels`` says that its last
    axis is one; ``facts`` and ``place`` name the numbers known of each sample and of its place in its source.
    """

    name: str
    main: str
    channels: bool
    facts: tuple[str, ...]
    place: tuple[str, ...]

    def schema(self, source: Source) -> dict[str, Field]:
        """The arrays that samples of ``source`` have."""
        ...

    def constants(self, source: Source) -> dict[str, Constant]:
        """What all samples must share."""
        ...

    def positions(self, source: Source) -> np.ndarray:
        """Where samples lie in ``source``: (candidate, number) int64, in reading order."""
        ...

    def load(self, source: Source, positions: np.ndarray) -> Samples:
        """Read the samples at ``positions``."""
        ...

    def embed(self, samples: Samples) -> np.ndarray:
        """Embeddings (record, feature) float32 for finding near-duplicates."""
        ...

    def picture(self, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        """Pictures of samples for a contact sheet: (record, y, x) float."""
        ...

    def groups(self, source: Source, positions: np.ndarray, samples: Samples) -> list[str]:
        """What must stay together with each sample."""
        ...

"""Random access to a cube in a file, in product axis order whatever the order in the file."""

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from tasks.ingest.header import Header, Region, Unreadable
from tasks.ingest.values import clean


class Sliceable(Protocol):
    """An array on disk, in the file's own axis order, that reads only what is asked; small when pickled."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> Any: ...

    def __getitem__(self, region: Any) -> np.ndarray: ...


@dataclass(frozen=True, eq=False)
class Stored:
    """An array on disk, and the product axis that each of its axes is.

    An axis that the product lacks is given as an index into it; a product axis that the file lacks has length 1.
    """

    array: Sliceable
    order: tuple[str | int, ...]

    def shape(self, dims: tuple[str, ...]) -> tuple[int, ...]:
        """Shape in the order of ``dims``."""
        sizes = dict(zip(self.order, self.array.shape, strict=True))
        return tuple(int(sizes.get(d, 1)) for d in dims)

    def block(self, dims: tuple[str, ...], region: Region) -> np.ndarray:
        """Values of ``region`` in the order of ``dims``; length 1 along axes the file lacks."""
        wanted = dict(zip(dims, region, strict=True))
        values = np.asarray(self.array[tuple(wanted[o] if isinstance(o, str) else o for o in self.order)])
        present = [o for o in self.order if isinstance(o, str)]
        values = values.transpose([present.index(d) for d in dims if d in present])
        return values[tuple(slice(None) if d in present else None for d in dims)]


@dataclass(frozen=True, eq=False)
class Source:
    """Random access to one cube in one file; pickles to a few bytes, so workers read their tiles themselves."""

    header: Header
    values: Stored
    mask: Stored | None = None
    """True where a value is valid; axes it lacks are broadcast."""

    def read(self, region: Region) -> tuple[np.ndarray, np.ndarray]:
        """Values of ``region`` in product order and type, and a bool array of equal shape: True = valid.

        What a format's library raises over a damaged file leaves as one sentence; a failing disk stays an OSError,
        which is worth another try.
        """
        try:
            return self._read(region)
        except (Unreadable, MemoryError):
            raise
        except Exception as error:
            if (
                isinstance(error, OSError) and error.errno is not None
            ):  # libraries leave it out when the format is wrong
                raise
            cause = " ".join(str(error).split())[:200] or type(error).__name__
            place = ", ".join(f"{d} {s.start}:{s.stop}" for d, s in zip(self.header.dims, region, strict=True))
            raise Unreadable(f"the {self.header.format} file breaks off at {place}: {cause}; copy it again") from error

    def _read(self, region: Region) -> tuple[np.ndarray, np.ndarray]:
        dims = self.header.dims
        stored = self.values.block(dims, region)
        if self.mask is None:
            return clean(stored, self.header, region)
        there = set(self.mask.order)
        part = tuple(s if d in there else slice(0, 1) for d, s in zip(dims, region, strict=True))
        return clean(stored, self.header, region, self.mask.block(dims, part).astype(bool))

    def slim(self) -> "Source":
        """This source without what only the layout and people need: a worker gets it with every tile."""
        header = self.header
        return replace(
            self,
            header=Header(
                header.format,
                header.kind,
                header.shape,
                header.source_dtype,
                scale=header.scale,
                offset=header.offset,
                gains=header.gains,
                offsets=header.offsets,
                nodata=header.nodata,
                bad_bands=header.bad_bands,
            ),
        )

    def corrected(
        self,
        axes: str | None = None,
        scale: float | None = None,
        offset: float | None = None,
        nodata: float | None = None,
    ) -> "Source":
        """This source with what the file says wrongly, or not at all, put right by the person who knows it.

        ``axes`` names the axes in the file's order, "band y x"; lengths of spectral vectors must still fit.
        """
        given = {"scale": scale, "offset": offset, "nodata": nodata}
        changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        values = self.values if axes is None else self._reordered(tuple(axes.replace(",", " ").split()))
        header = self.header.noted(
            *(f"{name} is set to {value:g} by hand" for name, value in changes.items()),
            *(() if axes is None else (f"axes are set to ({axes}) by hand",)),
            shape=values.shape(self.header.dims),
            gains=self.header.gains if scale is None else None,
            offsets=self.header.offsets if offset is None else None,
            **changes,
        )
        return replace(self, header=header, values=values)

    def _reordered(self, names: tuple[str, ...]) -> Stored:
        there = [o for o in self.values.order if isinstance(o, str)]
        if sorted(names) != sorted(there):
            raise Unreadable(f"axes {' '.join(names)!r} were given, expected an order of {' '.join(there)!r}")
        given = iter(names)
        return replace(self.values, order=tuple(next(given) if isinstance(o, str) else o for o in self.values.order))

"""Listings: the tables of a workload that `nightloom <name> ls` shows, declared in the workload's own storage module."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from storage.database import Base


@dataclass(frozen=True)
class Listing:
    """One table for people: which columns, newest or best first, and further commands by name.

    A command of ``commands`` is a plain function with typed parameters and a docstring; it returns something printable.
    """

    row: type[Base]
    columns: tuple[str, ...]
    order: str
    commands: Mapping[str, Callable[..., Any]] = field(default_factory=dict)


def listings() -> dict[str, Listing]:
    """Every listing that a module of this package declares as ``LISTINGS``."""
    found: dict[str, Listing] = {}
    for path in sorted(Path(__file__).parent.glob("*.py")):
        if "\nLISTINGS" in path.read_text(encoding="utf-8"):
            found |= import_module(f"storage.{path.stem}").LISTINGS
    return found

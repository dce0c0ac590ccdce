"""Listings: the tables of a workload that `nightloom <name> ls` shows.

A workload's storage module declares them as a dictionary literal: ``LISTINGS = {"candidates": Listing(...)}``.
"""

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from storage.database import Base


@dataclass(frozen=True)
class Listing:
    """One table for people: which columns, newest or best first, and further commands by name.

    A command of ``commands`` is a plain function with typed parameters and a docstring; it returns something printable.
    """

    row: "type[Base]"
    columns: tuple[str, ...]
    order: str
    commands: Mapping[str, Callable[..., Any]] = field(default_factory=dict)


@cache
def listing_names() -> dict[str, str]:
    """Names of all listings and the modules they stand in, read from the sources: importing them takes a second."""
    found: dict[str, str] = {}
    for path in sorted(Path(__file__).parent.glob("*.py")):
        for statement in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "LISTINGS":
                keys = statement.value.keys if isinstance(statement.value, ast.Dict) else []
                found |= {ast.literal_eval(key): path.stem for key in keys if key is not None}
    return found


def listing(name: str) -> Listing:
    """The listing called ``name``."""
    return import_module(f"storage.{listing_names()[name]}").LISTINGS[name]

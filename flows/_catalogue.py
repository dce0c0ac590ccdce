"""The catalogue of flows, found by file name: a new file in this folder is a new flow, and nothing is registered.

What a flow's module may declare besides the flow itself:

* ``accepts(path) -> bool``: the night hands inbox files of this content to the flow, as its ``source``;
* ``FOLLOWS``: kinds of products on which the night runs the flow;
* ``together(sources)``: a context manager around the runs on several inbox files, which does ahead what they share;
* ``closing(products) -> Parameters | None``: what the flow does at the end of the night;
* ``plan(params) -> dict``: tiles, bytes and memory, for `nightloom plan`;
* ``describe(path) -> dict``: what a file is and what is wrong with it, for `nightloom doctor FILE`;
* ``sample(folder) -> list[str]``: writes a small input of its kind for `make run`, and says what it wrote.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, get_type_hints

from storage.errors import UnknownNameError
from storage.parameters import Parameters

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class FlowEntry:
    """One flow: its name, the Prefect flow, the model of its parameters, the module it stands in."""

    name: str
    flow: Callable[..., Any]
    params_model: type[Parameters]
    module: ModuleType

    @property
    def sentence(self) -> str:
        """What the flow does, in one line."""
        return (self.flow.__doc__ or "").strip().split("\n")[0]


def flow_names() -> list[str]:
    """Names of all flows, without importing them."""
    return sorted(p.stem for p in FOLDER.glob("*.py") if not p.stem.startswith("_"))


@cache
def load(name: str) -> FlowEntry:
    """The flow called ``name``; an unknown name suggests the nearest."""
    if name not in flow_names():
        raise UnknownNameError("flow", name, flow_names())
    module = import_module(f"flows.{name}")
    flow = getattr(module, name)
    return FlowEntry(name, flow, get_type_hints(flow.fn)["params"], module)

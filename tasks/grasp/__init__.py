"""Grasp synthesis: physically checked dexterous grasps, after BODex (Chen et al. 2025, arXiv:2412.16490)."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .hand import load_hand
    from .object import load_object
    from .synthesis import synthesize, synthesize_all
    from .validation import validate

__all__ = ["load_hand", "load_object", "synthesize", "synthesize_all", "validate"]

_HOMES = {"load_hand": "hand", "load_object": "object", "validate": "validation"}
_HOMES |= dict.fromkeys(("synthesize", "synthesize_all"), "synthesis")


def __getattr__(name: str) -> Any:
    """Import what is asked for: a look at a file, or a kernel on a bare GPU machine, needs no simulator."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)

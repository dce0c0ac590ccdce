"""Survey transient search: dispersed pulses of 0.1 s to minutes in cubes of radio images."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tasks.search.find import search

__all__ = ["search"]


def __getattr__(name: str) -> Any:
    """`search` on first use: its table needs pandas, which a bare GPU machine that tests the kernels does not have."""
    if name == "search":
        from tasks.search.find import search

        return search
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

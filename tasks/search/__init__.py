"""Survey transient search: dispersed pulses of 0.1 s to minutes in cubes of radio images."""

from tasks.search.find import search

__all__ = ["search"]

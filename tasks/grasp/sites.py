"""Contact sites: the short YAML beside a hand's MJCF, read and checked before anything relies on it."""

from pathlib import Path
from typing import Any

import numpy as np
import yaml

GROUPS = ("finger", "thumb")


def read_sites(path: Path) -> dict[str, Any]:
    """Palm, rest pose, torque limit and contacts of a hand.

    Raises
    ------
    ValueError
        If the file is no YAML, or something in it is missing or of the wrong form; the sentence says what.
    """
    try:
        sites = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path.name} cannot be read as YAML ({' '.join(str(error).split())}); correct it") from error
    if not isinstance(sites, dict) or not {"palm", "contacts"} <= set(sites):
        raise ValueError(f"{path.name} must have the entries palm and contacts; see 'Your own hand' in docs/grasp.md")
    for key in ("normal", "fingers", "centre"):
        if not isinstance(sites["palm"], dict) or not _numbers(sites["palm"].get(key), 3):
            raise ValueError(f"{path.name}: palm.{key} must be three numbers in the base's frame")
    if not isinstance(sites["contacts"], list):
        raise ValueError(f"{path.name}: contacts must be a list of sites, each with body, position, radius, group")
    for i, site in enumerate(sites["contacts"]):
        _check_contact(site, f"{path.name}: contact {i}")
    rest, limit = sites.get("rest") or {}, sites.get("torque_limit", 1.0)
    if not isinstance(rest, dict) or not all(_numbers([angle], 1) for angle in rest.values()):
        raise ValueError(f"{path.name}: rest must give an angle [rad] per joint name")
    if not _numbers([limit], 1) or limit <= 0:
        raise ValueError(f"{path.name}: torque_limit is {limit!r}; expected a positive number [N m]")
    return sites | {"rest": rest}


def _check_contact(site: Any, where: str) -> None:
    if not isinstance(site, dict) or not isinstance(site.get("body"), str):
        raise ValueError(f"{where} names no body; expected body, position, radius, group")
    if not _numbers(site.get("position"), 3):
        raise ValueError(
            f"{where} has position {site.get('position')!r}; expected three numbers [m] in the body's frame"
        )
    if not _numbers([site.get("radius")], 1) or site["radius"] <= 0:
        raise ValueError(f"{where} has radius {site.get('radius')!r}; expected a positive number [m]")
    if site.get("group") not in GROUPS:
        raise ValueError(f"{where} has group {site.get('group')!r}; expected {' or '.join(GROUPS)}")


def _numbers(values: Any, count: int) -> bool:
    """Whether these are so many finite numbers."""
    plain = isinstance(values, list) and all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values)
    return plain and len(values) == count and bool(np.isfinite(values).all())

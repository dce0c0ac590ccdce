"""What is deployed: each flow with the schedule, description and default parameters of its YAML file."""

from pathlib import Path
from typing import Any

import yaml

from flows._catalogue import FlowEntry, flow_names, load

__all__ = ["FlowEntry", "deployment_config", "flow_names", "load"]

FOLDER = Path(__file__).parent


def deployment_config(name: str) -> dict[str, Any]:
    """Schedule, description and default parameters of the flow's deployment; empty where it has no file."""
    path = FOLDER / f"{name}.yaml"
    return (yaml.safe_load(path.read_text(encoding="utf-8")) or {}) if path.exists() else {}

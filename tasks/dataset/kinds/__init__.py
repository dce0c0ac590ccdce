"""The kinds of datasets, by the name a person types."""

from typing import Any

from tasks.dataset.kinds.cutouts import Cutouts
from tasks.dataset.kinds.denoise import DenoisePatches
from tasks.dataset.kinds.grasps import GraspSamples
from tasks.dataset.samples import Kind

KINDS: dict[str, type[Any]] = {"cutouts": Cutouts, "denoise": DenoisePatches, "grasps": GraspSamples}


def kind_of(name: str, **options: Any) -> Kind:
    """The kind called ``name``; it takes what it knows of ``options``."""
    chosen = KINDS[name]
    return chosen(**{key: value for key, value in options.items() if key in chosen.__dataclass_fields__})

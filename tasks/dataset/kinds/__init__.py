"""The kinds of datasets, by the name a person types."""

from typing import Any

from tasks.dataset.kinds.denoise import DenoisePatches
from tasks.dataset.samples import Kind

KINDS: dict[str, type[Any]] = {"denoise": DenoisePatches}


def kind_of(name: str, **options: Any) -> Kind:
    """The kind called ``name``; it takes what it knows of ``options``."""
    chosen = KINDS[name]
    return chosen(**{key: value for key, value in options.items() if key in chosen.__dataclass_fields__})

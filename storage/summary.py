"""What a run hands to whoever started it: its last line on the command line, its result in Prefect."""

import math
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class ProductSummary(BaseModel):
    """A published product."""

    id: str
    name: str
    kind: str
    uri: str


class RunSummary(BaseModel):
    """How a run ended and what it left; what a flow reports besides (``quarantined``) stands beside the fixed fields."""

    model_config = ConfigDict(extra="allow")

    run: str
    flow: str
    status: str
    products: list[ProductSummary] = Field(default_factory=list)
    metrics: dict[str, float | list[float | None] | None] = Field(default_factory=dict)
    seconds: float = 0.0

    def first(self, kind: str) -> ProductSummary | None:
        """The first product of ``kind``."""
        return next((p for p in self.products if p.kind == kind), None)

    def of_kind(self, kind: str) -> list[ProductSummary]:
        """Every product of ``kind``."""
        return [p for p in self.products if p.kind == kind]


def finite(value: Any) -> Any:
    """Plain data as JSON can hold it: what is not finite becomes None."""
    if isinstance(value, dict):
        return {key: finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def plain(value: Any) -> float | list[float | None] | None:
    """A metric as plain numbers; what is not finite becomes None, which JSON can hold."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [None if v is None or not math.isfinite(v) else float(v) for v in value]
    return float(value) if math.isfinite(value) else None

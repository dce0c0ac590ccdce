"""Parameters of a flow: one model that is the form in the UI, the options of the command line and the database's record."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from storage.digest import digest_json


class Parameters(BaseModel):
    """Base of every flow's parameters."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    force: bool = Field(False, description="compute again even if the same work was completed before")

    def inputs(self) -> dict[str, list[str]]:
        """What the run reads, by role: paths, product URIs or product ids. Each role is digested as a whole."""
        source = getattr(self, "source", None)
        return {"source": [source]} if source else {}

    def canonical(self) -> dict[str, Any]:
        """What decides the result: every parameter but ``force``, and but the inputs, whose content decides."""
        given = self.model_dump(mode="json", exclude={"force"})
        return {name: value for name, value in given.items() if name not in self.inputs()}

    def key(self, flow: str, input_digests: dict[str, str], code_version: str) -> str:
        """Idempotency key: runs with equal keys do the same work."""
        return digest_json([flow, self.canonical(), input_digests, code_version])

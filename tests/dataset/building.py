"""A build in a process of its own, which may be told where to die."""

import os
from contextlib import nullcontext
from typing import Any

from tests.faults.scenario import Death

SMALL = {"kind": "denoise", "patch": 8, "radius": 0.02, "link_radius": 0.1, "min_per_class": 0}


def without_server(put: Any) -> Any:
    """Make the flow's body run in this process, without a server and a cluster of its own; return it."""
    import flows.dataset
    from tasks.dataset import steps

    put(flows.dataset, "cluster", nullcontext)
    for name in ("survey", "choose", "link_shards", "write_shards", "read_back"):
        put(steps, name, getattr(steps, name).fn)
    return lambda **given: flows.dataset.dataset.fn(flows.dataset.DatasetParams(**(SMALL | given)))


def build_and_die(environment: dict[str, str], death: Death) -> None:
    """Build the dataset ``denoise`` until ``death`` comes."""
    os.environ.update(environment)
    build = without_server(setattr)
    import flows._dataset  # noqa: F401 - the death is arranged in every module that is there

    death.arrange()
    build()

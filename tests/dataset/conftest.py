"""Published products to build datasets from, made without the flows that usually make them."""

from contextlib import nullcontext

import numpy as np
import pytest

from storage.layout import Coordinate, Layout, variable
from storage.parameters import Parameters
from storage.runs import recorded


class Given(Parameters):
    """Parameters of a run that stands in for a real flow."""

    source: str = ""
    seed: int = 0


def publish(flow, layout, arrays, source="", seed=0):
    """Publish a product of ``layout`` holding ``arrays``; return its address."""
    with recorded(flow, Given(source=source, seed=seed)) as run:
        if not run.repeated:
            product = run.create(layout.kind, layout)
            for name, values in arrays.items():
                product[name].write(tuple(slice(0, n) for n in values.shape), values)
            run.publish(product)
    return run.summary.products[0].uri


def cube_layout(kind, shape, **attrs):
    _n_y, _n_x, n_band = shape
    bands = {
        "band": Coordinate(("band",), np.linspace(400, 700, n_band), {"units": "nm"}),
        "sigma": Coordinate(("band",), np.full(n_band, 0.1)),
    }
    dims = ("y", "x", "band")
    arrays = {
        "cube": variable(dims, shape, "float32", units="1"),
        "valid": variable(dims, shape, "bool", fill_value=False),
    }
    return Layout(kind, arrays, bands, attrs)


@pytest.fixture
def scene(home):
    """Publish a raw cube and its denoised cube; return the clean cube's address."""

    def make(seed, shape=(24, 24, 6), nan_at=None, copy_of=None, **attrs):
        rng = np.random.default_rng(seed if copy_of is None else copy_of)
        clean = (3 + rng.random((6, 6, shape[2])).repeat(-(-shape[0] // 6), 0).repeat(-(-shape[1] // 6), 1))[
            : shape[0], : shape[1]
        ]
        clean = (clean + 0.01 * rng.standard_normal(shape)).astype("f4")
        if copy_of is not None:
            clean += (1e-3 * np.random.default_rng(seed).standard_normal(shape)).astype("f4")
        noisy = clean + (0.1 * np.random.default_rng(1000 + seed).standard_normal(shape)).astype("f4")
        valid = np.ones(shape, bool)
        valid[: shape[0] // 6, :2] = False
        noisy[~valid] = np.nan
        if nan_at is not None:
            clean[nan_at] = np.nan
        raw = publish("ingest", cube_layout("raw_cube", shape, **attrs), {"cube": noisy, "valid": valid}, seed=seed)
        return publish(
            "denoise", cube_layout("clean_cube", shape), {"cube": clean, "valid": valid}, source=raw, seed=seed
        )

    return make


@pytest.fixture
def build(home, monkeypatch):
    """The flow's body in this process: no server, no cluster."""
    import flows.dataset
    from tasks.dataset import steps

    monkeypatch.setattr(flows.dataset, "cluster", nullcontext)
    for name in ("survey", "choose", "link_shards", "write_shards", "read_back"):
        monkeypatch.setattr(steps, name, getattr(steps, name).fn)
    small = {"kind": "denoise", "patch": 8, "radius": 0.02, "link_radius": 0.1, "min_per_class": 0}
    return lambda **given: flows.dataset.dataset.fn(flows.dataset.DatasetParams(**(small | given)))

"""The stages over a stored cube, in this process: an observation of several stretches gives what memory gives."""

from contextlib import nullcontext

import numpy as np
import pytest
from prefect import Task

import flows.search
from storage import query
from storage.layout import Layout, variable
from storage.parameters import Parameters
from storage.product import Product
from storage.runs import recorded
from storage.search import Candidate, coordinate
from tasks.search import search as search_cube
from tasks.search import steps
from tasks.search.calibration import STRETCH, stretches
from tests.search.oracle import DT, FREQS, pulse

SHAPE = (STRETCH + STRETCH // 2 + 1000, len(FREQS), 6, 5)


@pytest.fixture
def plain(monkeypatch):
    """No server and no cluster."""
    monkeypatch.setattr(flows.search, "cluster", nullcontext)
    for module in (steps.scanning, steps.surveying, steps.hunting, steps.publishing):
        for name, found in vars(module).items():
            if isinstance(found, Task):
                monkeypatch.setattr(module, name, found.fn)
                if hasattr(steps, name):
                    monkeypatch.setattr(steps, name, found.fn)


def observation(cube):
    """A published radio cube."""
    time = coordinate(("time",), np.arange(len(cube)) * DT, "s", "time since the first sample")
    channel = coordinate(("channel",), FREQS, "MHz", "frequency of the channel's centre")
    dims = ("time", "channel", "y", "x")
    layout = Layout(
        "radio_cube", {"cube": variable(dims, cube.shape, "float32", units="Jy")}, {"time": time, "channel": channel}
    )
    with recorded("ingest", Parameters(), deduplicate=False) as run:
        product = run.create("radio_cube", layout)
        product.write(tuple(slice(0, n) for n in cube.shape), cube)
        run.publish(product)
    return run.summary.products[0].uri


def test_an_observation_of_several_stretches_gives_what_memory_gives(home, plain):
    assert len(stretches(SHAPE[0])) == 2
    cube = np.random.default_rng(3).standard_normal(SHAPE, dtype=np.float32)
    for seconds in (100.0, STRETCH * DT, STRETCH * DT + 300.0):  # the second crosses from one stretch into the next
        cube += pulse(SHAPE, FREQS, time=seconds, dm=300.0, width=1.0, y=3, x=2, amplitude=4.0)
    params = flows.search.SearchParams(source=observation(cube), dm_max=600.0, width_max=4.0, cutouts=1)
    summary = flows.search.search.fn(params)
    found = search_cube(cube, FREQS, DT, dm_max=600.0, width_max=4.0)
    assert len(found) == 3
    rows = query.table(Candidate)
    assert sorted(row["snr"] for row in rows) == sorted(found["snr"])
    assert sorted(row["time_s"] for row in rows) == sorted(found["time_s"])
    flags = Product(summary.first("flags").uri, "weight")
    assert flags.grid[0] == STRETCH and (flags.read() > 0).mean() > 0.99

"""What a method says its filter needs for a tile is what the filter needs, so that large tiles are cut before memory runs out."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CLEAR = Path("/proc/self/clear_refs")

MEASURE = """
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from tasks.array.tiling import tiles
from tasks.denoise.methods import method
from tasks.denoise.streaming import survey_cube

EDGE, N = 384, 12
rng = np.random.default_rng(0)


def status(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(key))


def peak(name):
    chosen = method(name, rank=N) if name != "forpdn" else method(name)
    cube = rng.random((48, 48, N)) @ rng.random((N, 24)) + 0.01 * rng.standard_normal((48, 48, 24))
    found = chosen.adapt(survey_cube(cube.astype(np.float32), None, N))

    def scores(shape):
        return rng.standard_normal((*shape, found.n_component)).astype(np.float32)

    scene = replace(found, shape=(160, 160))
    (whole,) = tiles(scene.shape, scene.shape, chosen.halo(scene))
    plan = None
    for _ in range(chosen.rounds):
        plan = chosen.solve(chosen.survey(scores(scene.shape), whole, scene, plan), scene, plan)
    chosen.filtered(scores(scene.shape), whole, scene, plan)  # compiles
    scene = replace(found, shape=(3 * EDGE, 3 * EDGE))
    tile = tiles(scene.shape, (EDGE, EDGE), chosen.halo(scene))[4]
    before = status("VmRSS")
    block = scores([s.stop - s.start for s in tile.read])
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak
    chosen.filtered(block, tile, scene, plan)
    return (status("VmHWM") - before) / chosen.tile_bytes(tile, scene)


print(json.dumps({name: peak(name) for name in sys.argv[1:]}))
"""


@pytest.mark.skipif(not CLEAR.exists(), reason="the peak of a process's memory is only told anew by Linux's /proc")
def test_a_filter_holds_no_more_than_its_method_says():
    names = ["hyres", "hyminor", "wsrrr", "forpdn", "otvca", "fasthyde"]
    # Freed memory goes back at once: else one method finds what another left, and seems to need none.
    given_back = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"}
    command = [sys.executable, "-c", MEASURE, *names]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | given_back)
    for name, share in json.loads(done.stdout).items():
        assert 0.5 < share <= 1, name

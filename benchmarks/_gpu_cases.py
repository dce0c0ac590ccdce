"""The hot kernels with inputs of two sizes, and what each must at least move and compute: for `gpu.py` and its test.

Imports no more than NumPy, SciPy, Numba and the kernels themselves, so that it works on a bare GPU machine.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from benchmarks._frozen_hand import frozen_hand
from tasks.array import wavelet
from tasks.array.namespace import namespace, native
from tasks.dataset.kcenter import k_center
from tasks.denoise import starlet
from tasks.denoise.moments import measure
from tasks.denoise.patches import N_GUIDE, RADIUS, STEP, denoise_images
from tasks.denoise.spectral import STEPS, without_spikes
from tasks.grasp._tables import Field
from tasks.grasp.lanes import Lanes
from tasks.grasp.object import NO_TABLE
from tasks.grasp.stages import DESCENT
from tasks.search.trials import plan_levels

FREQS = np.linspace(1492.906, 1317.125, 16)


@dataclass(frozen=True)
class Case:
    """One kernel.

    make : arrays from a shape and a random generator
    run : the kernel's answer to these arrays, on the device where they live
    least_bytes, operations : of a shape: every input read once and every output written once; additions and multiplications
    small, full : shapes, to compare with the CPU and to time
    tolerance : largest difference from the CPU's answer, as a part of its largest value
    """

    name: str
    make: Callable[[tuple[int, ...], np.random.Generator], list[np.ndarray]]
    run: Callable[..., tuple[Any, ...]]
    least_bytes: Callable[[tuple[int, ...]], float]
    operations: Callable[[tuple[int, ...]], float]
    small: tuple[int, ...]
    full: tuple[int, ...]
    tolerance: float = 1e-5


def normal(shape: tuple[int, ...], rng: np.random.Generator) -> list[np.ndarray]:
    """White noise, float32."""
    return [rng.standard_normal(shape, dtype=np.float32)]


def smooth(shape: tuple[int, ...], rng: np.random.Generator) -> list[np.ndarray]:
    """Noisy images in which patches resemble each other."""
    n, n_y, n_x = shape
    y, x = np.mgrid[:n_y, :n_x]
    clean = np.stack([8 * np.sin(y / (5 + i)) * np.cos(x / (7 + i)) for i in range(n)])
    return [(clean + rng.standard_normal(shape)).astype(np.float32)]


def _moments(cube: Any) -> tuple[Any, ...]:
    found = measure(cube, None, np.ones(cube.shape[2], bool))
    return found.total, found.square


def _filters(images: Any) -> tuple[Any, Any]:
    low, high = (namespace(images).asarray(taps) for taps in wavelet.filters())
    return low, high


def _analyse(images: Any) -> tuple[Any, ...]:
    return wavelet.analyse(images, *_filters(images), 2)


def _synthesise(images: Any, details: Any) -> tuple[Any, ...]:
    return (wavelet.synthesise(images, details, *_filters(images), 2),)


def _details(shape: tuple[int, ...], rng: np.random.Generator) -> list[np.ndarray]:
    n, n_y, n_x = shape
    return normal(shape, rng) + normal((n, 3, n_y, n_x), rng)


def _sky(shape: tuple[int, ...], rng: np.random.Generator) -> list[np.ndarray]:
    """Conditioned samples (time, channel, pixel), and the norm of every trial and start time."""
    level = plan_levels(FREQS, 0.134, 300.0, (1, 2, 4, 8))[0]
    norm = rng.uniform(0.2, 1.0, (len(level.dms), len(level.widths), 32)).astype(np.float32)
    return [*normal(shape, rng), norm]


def _detect(samples: Any, norm: Any) -> tuple[Any, ...]:
    level = plan_levels(FREQS, 0.134, 300.0, (1, 2, 4, 8))[0]
    return native(samples, "tasks.search").detect(samples, level.delays, level.steps, norm, 0)[:1]


def _trial_operations(shape: tuple[int, ...]) -> float:
    """A sum over channels per DM, an addition and a comparison per boxcar, for every start time and pixel."""
    level = plan_levels(FREQS, 0.134, 300.0, (1, 2, 4, 8))[0]
    return 32 * shape[2] * len(level.dms) * (shape[1] + 2 * len(level.widths))


def _many_channels() -> Any:
    """Trials of so many channels that they share a tree."""
    return plan_levels(np.linspace(1500.0, 1200.0, 256), 0.001, 300.0, (1, 2, 4, 8))[0]


def _band(shape: tuple[int, ...], rng: np.random.Generator) -> list[np.ndarray]:
    level = _many_channels()
    norm = rng.uniform(0.2, 1.0, (len(level.dms), len(level.widths), 32)).astype(np.float32)
    return [*normal(shape, rng), norm]


def _detect_tree(samples: Any, norm: Any) -> tuple[Any, ...]:
    level = _many_channels()
    assert level.tree is not None
    return native(samples, "tasks.search").detect_tree(samples, level.tree, level.steps, norm, 0)[:1]


def _tree_operations(shape: tuple[int, ...]) -> float:
    """The additions of the tree's merges, and an addition and a comparison per boxcar and trial."""
    level = _many_channels()
    assert level.tree is not None
    return 32 * shape[2] * (len(level.tree.merges) + 2 * len(level.dms) * len(level.widths))


def _hands(shape: tuple[int, ...], rng: np.random.Generator) -> list[np.ndarray]:
    """Poses (grasp, 7 + dof) of the Allegro hand around a ball, which they face from 12 cm away."""
    n, width = shape
    turn = rng.standard_normal((n, 4))
    turn /= np.linalg.norm(turn, axis=1, keepdims=True)
    poses = np.concatenate([np.zeros((n, 3)), turn, rng.uniform(0.2, 0.8, (n, width - 7))], axis=1)
    w, x, y, z = turn.T
    facing = np.stack([1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)], axis=1)
    poses[:, :3] = -0.12 * facing
    return [poses.astype(np.float32)]


def _ball() -> Field:
    """A ball of 4 cm as a distance grid."""
    axis = np.linspace(-0.075, 0.075, 51)
    x, y, z = np.meshgrid(axis, axis, axis, indexing="ij")
    grid = (np.sqrt(x * x + y * y + z * z) - 0.04).astype(np.float32)
    frame = [-0.075] * 3 + [1 / 0.003, 0.003, 0, 0, 0, 0.07, NO_TABLE]
    return Field(grid.ravel(), np.array([[*grid.shape, 0]], np.int64), np.array([frame], np.float32))


def _descend(poses: Any) -> tuple[Any, ...]:
    """One step of the descent for all hands: forces, energy, gradient, curvature, damped step."""
    xp = namespace(poses)
    lanes = Lanes(frozen_hand(), Field(*map(xp.asarray, _ball())), np.zeros(len(poses), np.int64))
    active = xp.arange(len(poses))
    lanes.begin(active, poses)
    lanes.evaluate(active, DESCENT[0])
    lanes.move(active, DESCENT[0])
    return lanes.poses, lanes.report[:, :3]


def _descent_operations(shape: tuple[int, ...]) -> float:
    """Per lane: ten rounds of twelve force problems, their curvature, the surface's points in the grid, the solved step."""
    tables = frozen_hand().tables
    contacts, points, size = 3 * len(tables.tips.links), len(tables.skin.points), shape[1] - 1
    forces = DESCENT[0].rounds * 12 * 2 * contacts**2 + 12 * 12 * contacts**2
    return shape[0] * (forces + 150 * points + size**3 / 3)


def _patch_operations(shape: tuple[int, ...]) -> float:
    """Distances of all candidates of each reference patch, which are most of the work, in three passes."""
    n, n_y, n_x = shape
    return 3 * (n_y // STEP) * (n_x // STEP) * (2 * RADIUS + 1) ** 2 * 64 * 3 * min(n, N_GUIDE)


CASES = (
    Case("scene statistics (float64 Gram)", normal, _moments, lambda s: 4 * prod(s), lambda s: 2 * prod(s) * s[2],
         (40, 30, 20), (1024, 512, 191), 1e-9),
    Case("wavelet analysis", normal, _analyse, lambda s: 20 * prod(s), lambda s: 96 * prod(s), (2, 20, 31), (16, 1024, 1024)),
    Case("wavelet synthesis", _details, _synthesise, lambda s: 20 * prod(s), lambda s: 96 * prod(s), (2, 20, 31), (16, 1024, 1024)),
    Case("starlet smoothing", normal, lambda x: (starlet.smoothed(x, 2),), lambda s: 8 * prod(s), lambda s: 20 * prod(s),
         (20, 31, 2), (1024, 1024, 16)),
    Case("spectral total variation", normal, lambda x: (without_spikes(x, 0.6, 1.0),), lambda s: 8 * prod(s),
         lambda s: 16 * STEPS * prod(s), (60, 21), (512 * 512, 191), 1e-4),
    Case("patch filter", smooth, lambda x: (denoise_images(x, namespace(x).ones(len(x), np.float32)),), lambda s: 8 * prod(s),
         _patch_operations, (3, 40, 37), (6, 512, 512), 1e-3),
    Case("search, fused dedispersion and boxcars", _sky, _detect, lambda s: 4 * prod(s) + 8 * s[2], _trial_operations,
         (45, 16, 40), (45, 16, 301 * 301)),
    Case("search, dedispersion through a tree", _band, _detect_tree, lambda s: 4 * prod(s) + 8 * s[2], _tree_operations,
         (512, 256, 33), (512, 256, 2048)),
    Case("grasps, a step of the descent", _hands, _descend, lambda s: 4 * s[0] * (2 * s[1] + 3), _descent_operations,
         (24, 23), (16384, 23), 1e-3),
    Case("k-center, 1000 centres", normal, lambda x: (k_center(x, min(1000, len(x) // 2))[1][1:],), lambda s: 4 * prod(s),
         lambda s: 3000 * prod(s), (200, 8), (100_000, 64), 1e-4),
)  # fmt: skip

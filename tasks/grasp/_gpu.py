"""CUDA entry points of the grasp kernels: one thread per lane, around the same bodies as `_cpu`.

More than 300 lines: the kernels of one device are one module, so that `native` can swap it for the other's.
"""

import importlib
import sys
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from types import ModuleType

import numpy as np
from numba import cuda

THREADS = 64


def _load_bodies(*names: str) -> list[ModuleType]:
    """Load the package `body` once more under another name, with its decorators meaning a CUDA device function."""
    package = f"{__package__}._cuda_body"
    home = importlib.import_module(".body", __package__)
    spec = ModuleSpec(package, loader=None, is_package=True)
    spec.submodule_search_locations = list(home.__path__)
    sys.modules[package] = module_from_spec(spec)
    target = ModuleType(f"{package}._target")
    target.compiled = target.inlined = cuda.jit(device=True)
    sys.modules[target.__name__] = target
    return [importlib.import_module(f"{package}.{name}") for name in names]


_chain, _descent, _energy, _voxels = _load_bodies("_chain", "_descent", "_energy", "_voxels")
place_links, touch, press, collide = _chain.place_links, _energy.touch, _energy.press, _energy.collide
move, squeeze, node_distance = _descent.move, _descent.squeeze, _voxels.node_distance


@cuda.jit
def distance_kernel(triangles, planes, starts, origin, spacing, values):
    """One thread per grid node."""
    n = cuda.grid(1)
    _, ny, nz = values.shape
    if n < values.size:
        i, j, k = n // (ny * nz), n // nz % ny, n % nz
        values[i, j, k] = node_distance(
            triangles,
            planes,
            starts,
            origin[0] + spacing * np.float32(i),
            origin[1] + spacing * np.float32(j),
            origin[2] + spacing * np.float32(k),
        )


@cuda.jit
def touch_kernel(active, links, parents, sites, tip_links, grid, dims, frames, scenes, stage, poses, X, K, arms):
    """Forward kinematics and fingertip contacts."""
    n = cuda.grid(1)
    if n < active.size:
        lane = active[n]
        place_links(lane, links, parents, poses, X)
        touch(lane, sites, tip_links, grid, dims, frames, scenes[lane], stage[7], X, K, arms)


@cuda.jit
def force_kernel(
    active,
    groups,
    least,
    sites,
    frames,
    scenes,
    stage,
    rounds,
    K,
    arms,
    inverse,
    G,
    Z,
    U,
    B,
    floors,
    rest,
    J,
    g,
    M,
    report,
):
    """Contact forces."""
    n = cuda.grid(1)
    if n < active.size:
        lane = active[n]
        press(
            lane,
            groups,
            least,
            sites,
            frames[scenes[lane], 8],
            stage,
            rounds,
            K,
            arms,
            inverse,
            G,
            Z,
            U,
            B,
            floors,
            rest,
            J,
            g,
            M,
            report,
        )


@cuda.jit
def collide_kernel(
    active,
    links,
    parents,
    tip_links,
    solids,
    solid_links,
    touching,
    reach,
    spans,
    points,
    pairs,
    grid,
    dims,
    frames,
    scenes,
    stage,
    X,
    K,
    g,
    M,
    S,
    counts,
    tip_where,
    tip_rows,
    where,
    row,
    signed,
    W,
    H,
    report,
):
    """Links against the object and each other."""
    n = cuda.grid(1)
    if n < active.size:
        lane = active[n]
        collide(
            lane,
            links,
            parents,
            tip_links,
            solids,
            solid_links,
            touching,
            reach,
            spans,
            points,
            pairs,
            grid,
            dims,
            frames,
            scenes[lane],
            stage,
            X,
            K,
            g,
            M,
            S,
            counts,
            tip_where,
            tip_rows,
            where,
            row,
            signed,
            W,
            H,
            report,
        )


@cuda.jit
def move_kernel(active, links, parents, limits, partners, damping, longest, base_free, X, W, H, grad, steps, poses):
    """One damped step."""
    n = cuda.grid(1)
    if n < active.size:
        move(active[n], links, parents, limits, partners, damping, longest, base_free, X, W, H, grad, steps, poses)


@cuda.jit
def squeeze_kernel(active, links, parents, tip_links, sites, stops, torque, strength, X, K, Z, steps, where, row, out):
    """Squeeze targets."""
    n = cuda.grid(1)
    if n < active.size:
        squeeze(active[n], links, parents, tip_links, sites, stops, torque, strength, X, K, Z, steps, where, row, out)


def _launch(kernel, threads: int, *arguments):
    """Run a kernel on CuPy's stream, enough blocks for all threads."""
    stream = 0
    if hasattr(arguments[0], "__cuda_array_interface__") and "cupy" in sys.modules:
        stream = cuda.external_stream(sys.modules["cupy"].cuda.get_current_stream().ptr)
    kernel[(threads + THREADS - 1) // THREADS, THREADS, stream](*arguments)


def fill_distances(triangles, planes, starts, origin, spacing, values):
    """Fill a distance grid; see `_cpu.fill_distances`."""
    _launch(distance_kernel, values.size, triangles, planes, starts, origin, spacing, values)


def touch_lanes(active, chain, tips, field, scenes, stage, poses, X, K, arms):
    """See `_cpu.touch_lanes`."""
    _launch(touch_kernel, active.size, active, *chain, tips.sites, tips.links, *field, scenes, stage, poses, X, K, arms)


def force_lanes(active, tips, field, scenes, stage, rounds, K, arms, force, g, M, report):
    """See `_cpu.force_lanes`."""
    _launch(
        force_kernel,
        active.size,
        active,
        tips.groups,
        tips.least,
        tips.sites,
        field.frames,
        scenes,
        stage,
        rounds,
        K,
        arms,
        *force,
        g,
        M,
        report,
    )


def collide_lanes(active, chain, tips, skin, field, scenes, stage, X, K, g, M, body, W, H, report):
    """See `_cpu.collide_lanes`."""
    _launch(
        collide_kernel,
        active.size,
        active,
        *chain,
        tips.links,
        *skin,
        *field,
        scenes,
        stage,
        X,
        K,
        g,
        M,
        *body,
        W,
        H,
        report,
    )


def move_lanes(active, chain, joints, damping, longest, base_free, X, W, H, grad, steps, poses):
    """See `_cpu.move_lanes`."""
    _launch(
        move_kernel,
        active.size,
        active,
        *chain,
        joints.limits,
        joints.partners,
        damping,
        longest,
        base_free,
        X,
        W,
        H,
        grad,
        steps,
        poses,
    )


def squeeze_lanes(active, chain, joints, tips, strength, X, K, Z, steps, body, out):
    """See `_cpu.squeeze_lanes`."""
    _launch(
        squeeze_kernel,
        active.size,
        active,
        *chain,
        tips.links,
        tips.sites,
        joints.stops,
        joints.torque,
        strength,
        X,
        K,
        Z,
        steps,
        body.where,
        body.row,
        out,
    )

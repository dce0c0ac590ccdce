"""One damped step down the energy, and the squeeze that presses with the forces found."""

import math

import numpy as np

from ._chain import motion_row, sweep, turn
from ._target import compiled, inlined
from ._terms import couple_term
from ._wrench import TARGETS

ZERO, ONE = np.float32(0), np.float32(1)
LOCKED, EDGE = np.float32(1e12), np.float32(1e-5)


@compiled
def solve_step(lane, limits, damping, base_free, poses, grad, H, steps):
    """Newton step of the damped curvature by Cholesky; joints pressed against a limit stay where they are."""
    n = grad.shape[1]
    for p in range(n):
        extra = damping * (np.float32(4e4) if p < 3 else np.float32(400) if p < 6 else np.float32(100))
        if p < 6:
            if base_free == 0:
                extra = LOCKED
        else:
            q = poses[lane, 1 + p]
            low = q <= limits[p - 6, 0] + EDGE and grad[lane, p] > ZERO
            high = q >= limits[p - 6, 1] - EDGE and grad[lane, p] < ZERO
            if low or high:
                extra = LOCKED
        H[lane, p, p] += extra + np.float32(1e-3)
    for p in range(n):
        for q in range(p + 1):
            t = H[lane, p, q]
            for k in range(q):
                t -= H[lane, p, k] * H[lane, q, k]
            if p == q:
                H[lane, p, p] = math.sqrt(max(t, np.float32(1e-6)))
            else:
                H[lane, p, q] = t / H[lane, q, q]
    for p in range(n):
        t = -grad[lane, p]
        for k in range(p):
            t -= H[lane, p, k] * steps[lane, k]
        steps[lane, p] = t / H[lane, p, p]
    for r in range(n):
        p = n - 1 - r
        t = steps[lane, p]
        for k in range(p + 1, n):
            t -= H[lane, k, p] * steps[lane, k]
        steps[lane, p] = t / H[lane, p, p]


@compiled
def walk(lane, limits, longest, poses, steps):
    """Move a pose by its step, shortened to ``longest`` times (1 cm, 0.2 rad, 0.25 rad); joints stay in limits."""
    most = ZERO
    for p in range(steps.shape[1]):
        unit = np.float32(0.01) if p < 3 else np.float32(0.2) if p < 6 else np.float32(0.25)
        most = max(most, abs(steps[lane, p]) / unit)
    scale = min(ONE, longest / max(most, np.float32(1e-9)))
    for p in range(3):
        poses[lane, p] += scale * steps[lane, p]
    turn(lane, poses, scale * steps[lane, 3], scale * steps[lane, 4], scale * steps[lane, 5])
    for j in range(limits.shape[0]):
        poses[lane, 7 + j] = min(max(poses[lane, 7 + j] + scale * steps[lane, 6 + j], limits[j, 0]), limits[j, 1])


@inlined
def move(lane, links, parents, limits, partners, damping, longest, base_free, X, W, H, grad, steps, poses):
    """One damped step of one lane from the wrenches and curvature of `_energy.collide`."""
    for p in range(grad.shape[1]):
        grad[lane, p] = ZERO
    couple_term(lane, partners, np.float32(20), poses, grad, H)
    sweep(lane, links, parents, X, W, grad)
    solve_step(lane, limits, damping, base_free, poses, grad, H, steps)
    walk(lane, limits, longest, poses, steps)


@inlined
def squeeze(lane, links, parents, contact_links, tips, stops, torque, strength, X, K, Z, steps, where, row, out):
    """Joint targets whose spring torques press with the mean force of all targets, within the torque limit.

    ``strength`` turns the lower level's forces into newtons over the spring's stiffness [N/(N m/rad)].
    """
    for p in range(steps.shape[1]):
        steps[lane, p] = ZERO
    share = strength / np.float32(TARGETS)
    for i in range(contact_links.shape[0]):
        fx, fy, fz = ZERO, ZERO, ZERO
        for t in range(TARGETS):
            fx, fy, fz = fx + Z[lane, 3 * i, t], fy + Z[lane, 3 * i + 1, t], fz + Z[lane, 3 * i + 2, t]
        r = tips[i, 3]
        n = motion_row(
            lane,
            links,
            parents,
            X,
            contact_links[i],
            K[lane, i, 0] - r * K[lane, i, 4],
            K[lane, i, 1] - r * K[lane, i, 5],
            K[lane, i, 2] - r * K[lane, i, 6],
            fx * share,
            fy * share,
            fz * share,
            where,
            row,
        )
        for e in range(6, n):
            steps[lane, where[lane, e]] += row[lane, e]
    limit = ONE
    for j in range(stops.shape[0]):
        limit = min(limit, torque[0] / max(abs(steps[lane, 6 + j]), np.float32(1e-6)))
    for j in range(stops.shape[0]):
        q = out[lane, 7 + j] + limit * steps[lane, 6 + j]
        out[lane, 7 + j] = min(max(q, stops[j, 0]), stops[j, 1])

"""The lower level: contact forces that best answer twelve disturbances, by ADMM with one factorisation per grasp.

For every target wrench w (six forces, six torques, both signs)

    minimise  |G f - k w|^2 / 2 + eps |f|^2 / 2
    subject to  |tangential f_i| <= mu * (normal f_i - least_i),   sum of normals per group (fingers, thumb) >= 1/2

All targets share G, so the ADMM matrix G'G + eps + rho (1 + S'S) is inverted once; forces stay in the object frame,
which needs no tangent directions. ADMM: Boyd et al. 2011; cone projection: Fukushima, Luo & Tseng 2002.
"""

import math

import numpy as np

from ._target import compiled

TARGETS = 12
ZERO, ONE, HALF = np.float32(0), np.float32(1), np.float32(0.5)
RHO, EPS, TINY = np.float32(0.3), np.float32(0.005), np.float32(1e-12)


@compiled
def grasp_row(lane, arms, axis, i, c):
    """Entry of the grasp matrix: wrench ``axis`` per unit of force component ``c`` at contact ``i``."""
    if axis < 3:
        return ONE if axis == c else ZERO
    a = axis - 3
    if a == c:
        return ZERO
    other = 3 - a - c
    return arms[lane, i, other] if (a + 1) % 3 == other else -arms[lane, i, other]


@compiled
def factor(lane, K, arms, groups, inverse, G):
    """Fill ``G`` (6, 3 contact) and ``inverse`` (3 contact, 3 contact) for one set of contacts."""
    n = 3 * groups.shape[0]
    for v in range(n):
        for a in range(6):
            G[lane, a, v] = grasp_row(lane, arms, a, v // 3, v % 3)
    for v in range(n):
        i, c = v // 3, v % 3
        for w in range(v + 1):
            j, e = w // 3, w % 3
            t = ZERO
            for a in range(6):
                t += G[lane, a, v] * G[lane, a, w]
            if groups[i] == groups[j]:
                t += RHO * K[lane, i, 4 + c] * K[lane, j, 4 + e]
            if v == w:
                t += RHO + EPS
            inverse[lane, v, w] = t
    for k in range(n):
        pivot = ONE / inverse[lane, k, k]
        for v in range(n):
            if v != k:
                a = inverse[lane, v, k] if v > k else inverse[lane, k, v]
                b = a * pivot
                for w in range(v + 1):
                    if w != k:
                        inverse[lane, v, w] -= b * (inverse[lane, w, k] if w > k else inverse[lane, k, w])
        for v in range(n):
            if v > k:
                inverse[lane, v, k] *= pivot
            elif v < k:
                inverse[lane, k, v] *= pivot
        inverse[lane, k, k] = -pivot
    for v in range(n):
        for w in range(v + 1):
            inverse[lane, v, w] = -inverse[lane, v, w]
            inverse[lane, w, v] = inverse[lane, v, w]


@compiled
def settle(lane, K, groups, least, inverse, G, mu, k_force, k_torque, rounds, Z, U, B, floors):
    """Run ``rounds`` of ADMM from the forces and duals in ``Z``, ``U`` (3 contact, target); ``floors`` (2, 2, target).

    ``floors[0]`` holds the split sums of normals per group, ``floors[1]`` their duals. ``Z`` ends inside the cones.
    """
    contacts = groups.shape[0]
    n = 3 * contacts
    one_mu = ONE / (ONE + mu * mu)
    for _ in range(rounds):
        for v in range(n):
            g, s = groups[v // 3], -K[lane, v // 3, 4 + v % 3]
            for t in range(TARGETS):
                B[lane, v, t] = RHO * (
                    Z[lane, v, t] - U[lane, v, t] + s * (floors[lane, 0, g, t] - floors[lane, 1, g, t])
                )
            for a in range(6):
                k = (k_force if a < 3 else k_torque) * G[lane, a, v]
                B[lane, v, 2 * a] += k
                B[lane, v, 2 * a + 1] -= k
        for v in range(n):
            for t in range(TARGETS):
                Z[lane, v, t] = ZERO
            for w in range(n):
                m = inverse[lane, v, w]
                for t in range(TARGETS):
                    Z[lane, v, t] += m * B[lane, w, t]
        for g in range(2):
            for t in range(TARGETS):
                total = floors[lane, 1, g, t]
                for i in range(contacts):
                    if groups[i] == g:
                        total += (
                            -K[lane, i, 4] * Z[lane, 3 * i, t]
                            + -K[lane, i, 5] * Z[lane, 3 * i + 1, t]
                            + -K[lane, i, 6] * Z[lane, 3 * i + 2, t]
                        )
                floors[lane, 0, g, t] = max(total, HALF)
                floors[lane, 1, g, t] = total - floors[lane, 0, g, t]
        for i in range(contacts):
            nx, ny, nz = -K[lane, i, 4], -K[lane, i, 5], -K[lane, i, 6]
            low = least[i]
            for t in range(TARGETS):
                fx, fy, fz = (
                    Z[lane, 3 * i, t] + U[lane, 3 * i, t],
                    Z[lane, 3 * i + 1, t] + U[lane, 3 * i + 1, t],
                    Z[lane, 3 * i + 2, t] + U[lane, 3 * i + 2, t],
                )
                normal = fx * nx + fy * ny + fz * nz
                tx, ty, tz = fx - normal * nx, fy - normal * ny, fz - normal * nz
                normal -= low
                side = math.sqrt(tx * tx + ty * ty + tz * tz + TINY)
                along = (normal + mu * side) * one_mu
                inside = side <= mu * normal
                along = normal if inside else max(along, ZERO)
                scale = ONE if inside else mu * along / side
                along += low
                zx, zy, zz = along * nx + scale * tx, along * ny + scale * ty, along * nz + scale * tz
                Z[lane, 3 * i, t], Z[lane, 3 * i + 1, t], Z[lane, 3 * i + 2, t] = zx, zy, zz
                U[lane, 3 * i, t], U[lane, 3 * i + 1, t], U[lane, 3 * i + 2, t] = fx - zx, fy - zy, fz - zz


@compiled
def leftover(lane, G, Z, k_force, k_torque, t, rest):
    """What target ``t`` lacks: r = G f - k w (6), and its length."""
    total = ZERO
    for a in range(6):
        s = ZERO
        for v in range(G.shape[2]):
            s += G[lane, a, v] * Z[lane, v, t]
        if t // 2 == a:
            k = k_force if a < 3 else k_torque
            s -= k if t % 2 == 0 else -k
        rest[lane, a] = s
        total += s * s
    return math.sqrt(total)

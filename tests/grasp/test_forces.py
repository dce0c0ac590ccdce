"""The lower level against a solver of second-order cone programs."""

import numpy as np
import pytest
from scipy import sparse

from tasks.grasp import _cpu, load_hand
from tasks.grasp.body._wrench import EPS, TARGETS
from tasks.grasp.lanes import Lanes
from tasks.grasp.object import field_of
from tasks.grasp.stages import Stage
from tests.grasp.shapes import ball

clarabel = pytest.importorskip("clarabel")


def exact(lanes, lane, stage, target):
    """Optimal value of one target's problem, by an interior-point method."""
    tips, K = lanes.tables.tips, lanes.K[lane].astype(float)
    n = len(tips.groups)
    G = np.asarray(lanes.force.G[lane], float)
    w = np.zeros(6)
    w[target // 2] = (stage.force if target < 6 else stage.torque) * (1 if target % 2 == 0 else -1)
    P = sparse.csc_matrix(np.triu(G.T @ G + float(EPS) * np.eye(3 * n)))
    sums = np.zeros((2, 3 * n))
    rows, bounds, cones = [], [-0.5, -0.5], [clarabel.NonnegativeConeT(2)]
    for i in range(n):
        inward = -K[i, 4:7]
        sums[tips.groups[i], 3 * i : 3 * i + 3] = inward
        cone = np.zeros((4, 3 * n))
        cone[0, 3 * i : 3 * i + 3] = -stage.mu * inward
        cone[1:, 3 * i : 3 * i + 3] = -(np.eye(3) - np.outer(inward, inward))
        rows.append(cone)
        bounds += [-stage.mu * float(tips.least[i]), 0, 0, 0]
        cones.append(clarabel.SecondOrderConeT(4))
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    A = sparse.csc_matrix(np.vstack([-sums, *rows]))
    f = np.array(clarabel.DefaultSolver(P, -G.T @ w, A, np.array(bounds, float), cones, settings).solve().x)
    return np.linalg.norm(G @ f - w)


def test_forces_answer_targets_as_well_as_an_exact_solver():
    hand = load_hand("allegro")
    lanes = Lanes(hand, field_of([ball(0.04)]), np.zeros(3, np.int64))
    rng, active = np.random.default_rng(4), np.arange(3)
    lanes.begin(active, np.zeros((3, 23), np.float32))
    normals = np.array([[1, 0.2, 0], [1, 0, 0.1], [1, -0.2, -0.2], [-1, 0, 0]], float) + rng.normal(0, 0.15, (3, 4, 3))
    normals /= np.linalg.norm(normals, axis=2, keepdims=True)
    lanes.K[:, :, 4:7], lanes.arms[:] = normals, 0.7 * normals
    stage = Stage(1, 20, 0, 0, 0, 0.0, 0.0, 0.01, mu=0.3, rounds=3000)
    _cpu.force_lanes(
        active,
        lanes.tables.tips,
        lanes.field,
        lanes.scenes,
        stage.row,
        stage.rounds,
        lanes.K,
        lanes.arms,
        lanes.force,
        lanes.g,
        lanes.M,
        lanes.report,
    )
    for lane in active:
        G, Z = (np.asarray(a[lane], float) for a in (lanes.force.G, lanes.force.Z))
        for target in range(TARGETS):
            w = np.zeros(6)
            w[target // 2] = (stage.force if target < 6 else stage.torque) * (1 if target % 2 == 0 else -1)
            ours = np.linalg.norm(G @ Z[:, target] - w)
            assert ours == pytest.approx(exact(lanes, lane, stage, target), abs=2e-3)  # of targets of 0.2 and 0.1


def test_forces_stay_inside_their_cones():
    hand = load_hand("shadow")
    lanes = Lanes(hand, field_of([ball(0.04)]), np.zeros(1, np.int64))
    lanes.begin(np.arange(1), np.zeros((1, 29), np.float32))
    normals = np.random.default_rng(1).normal(size=(1, 5, 3))
    normals /= np.linalg.norm(normals, axis=2, keepdims=True)
    lanes.K[:, :, 4:7], lanes.arms[:] = normals, 0.7 * normals
    stage = Stage(1, 20, 0, 0, 0, 0.0, 0.0, 0.01, mu=0.3, rounds=5)
    _cpu.force_lanes(
        np.arange(1),
        lanes.tables.tips,
        lanes.field,
        lanes.scenes,
        stage.row,
        stage.rounds,
        lanes.K,
        lanes.arms,
        lanes.force,
        lanes.g,
        lanes.M,
        lanes.report,
    )
    forces = lanes.force.Z[0].reshape(5, 3, TARGETS)
    along = -np.einsum("iat,ia->it", forces, normals[0])
    side = np.linalg.norm(forces + along[:, None] * normals[0][:, :, None], axis=1)
    assert (side <= 0.3 * along + 1e-5).all()
    assert (along >= hand.tables.tips.least[:, None] - 1e-5).all()


def sphere_contacts(lanes, centres, radius):
    """Fill the contacts of lane 0 as a perfect sphere of ``radius`` would give them."""
    for i, c in enumerate(centres):
        far = np.linalg.norm(c)
        n = c / far
        lanes.K[0, i, :3], lanes.K[0, i, 3], lanes.K[0, i, 4:7] = c, far - radius - lanes.tables.tips.sites[i, 3], n
        lanes.K[0, i, 7:16] = ((np.eye(3) - np.outer(n, n)) / far).ravel()
        lanes.arms[0, i] = radius * n / lanes.field.frames[0, 8]


def test_the_envelope_theorem_gives_the_gradient_of_the_forces_answer():
    hand = load_hand("allegro")
    lanes = Lanes(hand, field_of([ball(0.04)]), np.zeros(1, np.int64))
    radius, one = 0.04, np.arange(1)
    centres = 0.055 * np.array([[1, 0.5, 0.1], [1, 0, 0.3], [1, -0.5, -0.2], [-0.9, 0.1, 0.3]])
    stage = Stage(1, 100, 0, 0, 0, 0.0, 0.0, 0.01, mu=0.3, rounds=3000)

    def energy(where):
        lanes.begin(one, np.zeros((1, 23), np.float32))
        sphere_contacts(lanes, where, radius)
        _cpu.force_lanes(
            one,
            lanes.tables.tips,
            lanes.field,
            lanes.scenes,
            stage.row,
            stage.rounds,
            lanes.K,
            lanes.arms,
            lanes.force,
            lanes.g,
            lanes.M,
            lanes.report,
        )
        return float(lanes.report[0, 0]), lanes.g[0].copy()

    _, gradient = energy(centres)
    numeric = np.zeros(12)
    for v in range(12):
        shift = np.zeros(12)
        shift[v] = 5e-4
        numeric[v] = (energy(centres + shift.reshape(4, 3))[0] - energy(centres - shift.reshape(4, 3))[0]) / 1e-3
    # The lower level adds a little |f|^2, which the energy leaves out: the two gradients point the same way.
    assert gradient @ numeric > 0.9 * np.linalg.norm(gradient) * np.linalg.norm(numeric)

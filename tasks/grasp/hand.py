"""Hands: an MJCF of boxes and capsules with a short YAML of contact sites, read into the kernels' tables."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import mujoco
import numpy as np

from ._tables import Chain, HandTables, Joints, Skin, Tips
from .sites import read_sites

HANDS = Path(__file__).parent / "hands"

Frames = dict[int, tuple[int, np.ndarray, np.ndarray]]
"""For every body: its link, and its position [m] and rotation in that link's frame."""

SPACING = 0.011
"""Distance of sample points on the links' surfaces [m]: the narrowest piece that could slip between is half of it."""


@dataclass(frozen=True)
class Hand:
    """A hand: its model file, its joints in the order of ``qpos``, and where it touches."""

    name: str
    mjcf: Path
    joint_names: tuple[str, ...]
    tables: HandTables
    rest: np.ndarray
    palm: np.ndarray
    """Rows: palm normal, direction of the fingers, and the point where an object belongs, in the base's frame."""

    @property
    def dof(self) -> int:
        """Number of joints; a pose has 7 more numbers for the base."""
        return len(self.joint_names)

    @property
    def contact_bodies(self) -> int:
        """Number of fingertips that may touch."""
        return len(self.tables.tips.groups)


def known_hands() -> list[str]:
    """Names of the hands that ship with the project."""
    return sorted(p.stem for p in HANDS.glob("*.xml"))


@cache
def load_hand(name: str) -> Hand:
    """A shipped hand by name, or a person's own by the path of its MJCF (contact sites beside it, ``.yaml``).

    Raises
    ------
    ValueError
        If the hand is unknown, or its model or its contact sites do not fit the kernels.
    """
    mjcf = HANDS / f"{name}.xml" if name in known_hands() else Path(name)
    if mjcf.suffix != ".xml" or not mjcf.is_file():
        raise ValueError(
            f"hand {name!r} is unknown; give one of {', '.join(known_hands())} or the path of an MJCF file"
        )
    sites = mjcf.with_suffix(".yaml")
    if not sites.is_file():
        raise ValueError(f"{mjcf.name} has no contact sites; write them to {sites.name} beside it")
    return _read_hand(mjcf, read_sites(sites))


def _read_hand(mjcf: Path, sites: dict) -> Hand:
    spec = mujoco.MjSpec.from_file(str(mjcf))
    root = spec.worldbody.first_body()
    if root is None:
        raise ValueError(f"{mjcf.name} has no body; expected one base body with jointed links below it")
    if root.first_joint() is None:
        root.add_freejoint()
    model = spec.compile()
    joints = [j for j in range(model.njnt) if model.jnt_type[j] == mujoco.mjtJoint.mjJNT_HINGE]
    if model.nu == 0:
        raise ValueError(f"{mjcf.name} has no actuators; add one position actuator per joint (or per tendon)")
    if len(joints) != model.njnt - 1 or len({int(model.jnt_bodyid[j]) for j in joints}) != len(joints):
        raise ValueError(f"{mjcf.name} must have hinge joints only, one per body; found {model.njnt - 1} joints")
    names = tuple(model.joint(j).name for j in joints)
    if unknown := sorted(set(sites["rest"]) - set(names)):
        raise ValueError(
            f"{mjcf.name} has no joint {unknown[0]!r}, named in the rest pose; its joints are {', '.join(names)}"
        )
    rest = np.array([np.clip(sites["rest"].get(n, 0.0), *model.jnt_range[j]) for n, j in zip(names, joints)])
    palm = np.array([sites["palm"][k] for k in ("normal", "fingers", "centre")], float)
    return Hand(mjcf.stem, mjcf, names, hand_tables(model, joints, sites, mjcf.name), rest, palm)


def hand_tables(model: mujoco.MjModel, joints: list[int], sites: dict, name: str) -> HandTables:
    """Merge welded bodies into links (one per joint, after the base) and tabulate what the kernels need."""
    frames = _body_frames(model, joints)
    links = np.zeros((len(joints) + 1, 15))
    parents = np.zeros(len(joints) + 1, np.int32)
    links[0, 3:12] = np.eye(3).ravel()
    for link, j in enumerate(joints, 1):
        body = model.jnt_bodyid[j]
        parents[link], where, rotation = frames[int(model.body_parentid[body])]
        local = rotation @ _matrix(model.body_quat[body])
        offset = where + rotation @ model.body_pos[body] + local @ model.jnt_pos[j]
        links[link] = np.concatenate([offset, local.ravel(), model.jnt_axis[j]])
    contacts, contact_links, groups = _contacts(model, frames, sites, name)
    solids, solid_links, bodies = _solids(model, frames, name)
    touching = [_tip_of(s, link, contacts, contact_links) for s, link in zip(solids, solid_links, strict=True)]
    points = [_sample_points(s, contacts[t] if t >= 0 else None) for s, t in zip(solids, touching, strict=True)]
    limits = np.array([model.jnt_range[j] if model.jnt_limited[j] else (-np.pi, np.pi) for j in joints])
    f32, i32 = np.float32, np.int32
    skin = Skin(
        solids.astype(f32),
        np.array(solid_links, i32),
        (np.array(touching) >= 0).astype(np.uint8),
        (np.linalg.norm(solids[:, 12:15], axis=1) + solids[:, 15]).astype(f32),
        np.concatenate([[0], np.cumsum([len(p) for p in points])]).astype(i32),
        np.concatenate(points).astype(f32),
        _pairs(model, bodies),
    )
    torque = np.array([sites.get("torque_limit", 1.0) / SPRING], f32)
    return HandTables(
        Chain(links.astype(f32), parents),
        skin,
        Tips(
            contacts.astype(f32), np.array(contact_links, i32), np.array(groups, i32), _least_forces(groups).astype(f32)
        ),
        Joints(_kept(limits).astype(f32), limits.astype(f32), _partners(model, joints), torque),
    )


SPRING = 5.0
"""Stiffness of the position actuators grasps are made for [N m/rad]: that of DexGraspBench's test."""


def _kept(limits: np.ndarray) -> np.ndarray:
    """Joint limits with room left at both ends: a joint at its stop could not be driven on to squeeze."""
    room = np.minimum(0.12, 0.08 * np.ptp(limits, axis=1))
    return limits + np.column_stack([room, -room])


def _least_forces(groups: list[int]) -> np.ndarray:
    """Least normal force of each contact: a finger that hardly presses lets the object turn about the others."""
    counts = np.bincount(groups, minlength=2)
    return SHARE * 0.5 / counts[np.asarray(groups)]


SHARE = 0.6
"""Part of a group's pressing force that is shared evenly among its fingers."""


def _matrix(quat: np.ndarray) -> np.ndarray:
    out = np.zeros(9)
    mujoco.mju_quat2Mat(out, np.asarray(quat, float))
    return out.reshape(3, 3)


def _body_frames(model: mujoco.MjModel, joints: list[int]) -> Frames:
    """For every body of the hand: the link it belongs to, and its position and rotation in that link's frame."""
    link_of = {int(model.jnt_bodyid[j]): link for link, j in enumerate(joints, 1)}
    frames = {1: (0, np.zeros(3), np.eye(3))}
    for b in range(2, model.nbody):
        if b in link_of:
            anchor = model.jnt_pos[joints[link_of[b] - 1]]
            frames[b] = (link_of[b], -anchor, np.eye(3))
        else:
            link, where, rotation = frames[int(model.body_parentid[b])]
            frames[b] = (link, where + rotation @ model.body_pos[b], rotation @ _matrix(model.body_quat[b]))
    return frames


def _contacts(model: mujoco.MjModel, frames: Frames, sites: dict, name: str) -> tuple[np.ndarray, list[int], list[int]]:
    rows, links, groups = [], [], []
    for site in sites["contacts"]:
        body = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_BODY, site["body"])
        if body < 0:
            raise ValueError(
                f"{name} has no body {site['body']!r}, named as a contact site; correct the YAML beside it"
            )
        link, where, rotation = frames[body]
        rows.append([*(where + rotation @ np.asarray(site["position"], float)), site["radius"]])
        links.append(link)
        groups.append(1 if site["group"] == "thumb" else 0)
    if not 2 <= len(rows) <= 5 or not {0, 1} <= set(groups):
        raise ValueError(f"{name} has {len(rows)} contact sites; expected 2 to 5, at least one finger and one thumb")
    return np.array(rows), links, groups


def _solids(model: mujoco.MjModel, frames: Frames, name: str) -> tuple[np.ndarray, list[int], list[int]]:
    rows, links, bodies = [], [], []
    kinds = mujoco.mjtGeom
    for g in range(model.ngeom):
        if not (model.geom_contype[g] or model.geom_conaffinity[g]):
            continue
        size, kind = model.geom_size[g], model.geom_type[g]
        if kind == kinds.mjGEOM_BOX:
            core = [*size, 0.0]
        elif kind == kinds.mjGEOM_CAPSULE:
            core = [0.0, 0.0, size[1], size[0]]
        elif kind == kinds.mjGEOM_SPHERE:
            core = [0.0, 0.0, 0.0, size[0]]
        else:
            raise ValueError(
                f"geom {g} of {name} is neither box, capsule nor sphere; replace it by one that encloses it"
            )
        link, where, rotation = frames[int(model.geom_bodyid[g])]
        rows.append([*(where + rotation @ model.geom_pos[g]), *(rotation @ _matrix(model.geom_quat[g])).ravel(), *core])
        links.append(link)
        bodies.append(int(model.geom_bodyid[g]))
    return np.array(rows), links, bodies


TILT = 0.2
"""How much farther from the object than its tip a touching capsule stays, per distance from the tip."""


def _tip_of(solid: np.ndarray, link: int, contacts: np.ndarray, contact_links: list[int]) -> int:
    """The contact site on the surface of a capsule, or -1."""
    for k, site in enumerate(contacts):
        if contact_links[k] == link and solid[15] > 0 and np.linalg.norm(site[:3] - solid[:3]) <= solid[14] + 1e-3:
            return k
    return -1


def _sample_points(solid: np.ndarray, tip: np.ndarray | None) -> np.ndarray:
    """Sample spheres (position in the link, radius) of a solid.

    A capsule is a row of spheres, widening away from its ``tip`` so that it is the tip that touches. A box is a lattice on its faces, a finer one on its edges, and the largest spheres
    inside it: without those a thin handle can pass between the points of two faces unseen.
    """
    centre, rotation, half, radius = solid[:3], solid[3:12].reshape(3, 3), solid[12:15], solid[15]
    if radius:
        local, radii = _lattice(np.array([0, 0, half[2]]), 0.005), radius
        if tip is not None:
            radii = radius + TILT * np.linalg.norm(centre + local @ rotation.T - tip[:3], axis=1)
    else:
        faces, edges = _lattice(half, SPACING), _lattice(half, SPACING / 2)
        inner = _lattice(half - half.min(), SPACING)
        local = np.concatenate([faces[_outer(faces, half) == 1], edges[_outer(edges, half) >= 2], inner])
        radii = np.concatenate([np.zeros(len(local) - len(inner)), np.full(len(inner), half.min())])
    return np.column_stack([centre + local @ rotation.T, np.broadcast_to(radii, len(local))])


def _lattice(half: np.ndarray, spacing: float) -> np.ndarray:
    """Points filling a box of half extents ``half``, at most ``spacing`` apart, its corners among them."""
    axes = [np.linspace(-h, h, int(np.ceil(2 * h / spacing)) + 1) if h > 1e-9 else np.zeros(1) for h in half]
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)


def _outer(points: np.ndarray, half: np.ndarray) -> np.ndarray:
    """On how many faces of a box each point lies: 1 on a face, 2 on an edge, 3 at a corner."""
    return (np.abs(np.abs(points) - half) < 1e-9).sum(1)


def _pairs(model: mujoco.MjModel, bodies: list[int]) -> np.ndarray:
    """Pairs of solids that MuJoCo would let collide: other links, not parent and child, not excluded."""
    excluded = {(int(s) >> 16, int(s) & 0xFFFF) for s in model.exclude_signature}
    weld, parent = model.body_weldid, model.body_parentid
    pairs = []
    for a in range(len(bodies)):
        for b in range(a + 1, len(bodies)):
            i, j = bodies[a], bodies[b]
            u, v = int(weld[i]), int(weld[j])
            kin = u == v or int(weld[parent[u]]) == v or int(weld[parent[v]]) == u
            if not kin and (i, j) not in excluded and (j, i) not in excluded:
                pairs.append((a, b))
    return np.array(pairs, np.int32).reshape(-1, 2)


def _partners(model: mujoco.MjModel, joints: list[int]) -> np.ndarray:
    """For each joint the other joint on its fixed tendon, or -1."""
    partners = np.full(len(joints), -1, np.int32)
    for t in range(model.ntendon):
        start = model.tendon_adr[t]
        ids = [int(i) for i in model.wrap_objid[start : start + model.tendon_num[t]]]
        if len(ids) == 2:
            a, b = (joints.index(i) for i in ids)
            partners[a] = b
    return partners

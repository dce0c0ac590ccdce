"""Objects: meshes or convex pieces, checked and repaired, and the distance grid the kernels ask."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from ._tables import Field
from .field import distance_grid
from .files import MESHES, PIECES

if TYPE_CHECKING:
    from trimesh import Trimesh

LARGEST = 0.6
"""Longest side a hand-sized object may have [m]: beyond it nothing is within reach of one hand."""


@dataclass(frozen=True)
class Object:
    """A rigid object: convex pieces [m] whose union is its geometry, and the mesh to look at."""

    name: str
    pieces: tuple[tuple[np.ndarray, np.ndarray], ...]
    vertices: np.ndarray
    faces: np.ndarray
    report: tuple[str, ...] = ()
    """What was repaired on the way in, one sentence each."""

    @cached_property
    def sdf(self) -> tuple[np.ndarray, np.ndarray, float]:
        """Signed-distance grid [m], its origin [m] and spacing [m]."""
        return distance_grid(list(self.pieces))

    @cached_property
    def extents(self) -> np.ndarray:
        """Size along each axis [m]."""
        return np.ptp(np.concatenate([v for v, _ in self.pieces]), axis=0)

    @property
    def foot(self) -> float:
        """Its lowest point along z, where a table under it would be [m]."""
        return float(min(v[:, 2].min() for v, _ in self.pieces))

    @cached_property
    def centre(self) -> np.ndarray:
        """Centre of mass of the pieces at uniform density [m]."""
        moments = [_volume_moment(v, f) for v, f in self.pieces]
        return sum((m for _, m in moments), np.zeros(3)) / sum(v for v, _ in moments)


def load_object(path: str | Path, *, scale: float = 1.0) -> Object:
    """Read an object to grasp.

    Parameters
    ----------
    path : path
        OBJ, STL, PLY or GLB mesh, or ``.npz`` with ``vertices, faces, n_pieces, pieceNN_v, pieceNN_f`` (convex pieces,
        which are then the geometry).
    scale : float
        Metres per unit of the file.

    Raises
    ------
    ValueError
        If there is no solid in the file that a hand could grasp; the sentence says what was found and what to do.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if not scale > 0:
        raise ValueError(f"scale must be positive, got {scale}; it is metres per unit of {path.name}")
    if suffix == PIECES:
        found = _read_pieces(path, scale)
    elif suffix in MESHES:
        found = _read_mesh(path, scale)
    else:
        raise ValueError(f"{path.name} is not a mesh; expected one of {', '.join((*MESHES, PIECES))}")
    longest = float(found.extents.max())
    if longest > LARGEST:
        hint = (
            "give scale=0.001 if the file is in millimetres"
            if longest < 1000 * LARGEST
            else f"give scale={0.1 / longest * scale:.1g}"
        )
        raise ValueError(f"{path.name} is {longest:.3g} m long, but a hand grasps objects up to {LARGEST} m; {hint}")
    if longest < 0.005:
        raise ValueError(
            f"{path.name} is {1e3 * longest:.3g} mm long, too small for fingertips; give a larger scale (metres per unit)"
        )
    return found


NO_TABLE = -1e3
"""Height of a table that no hand can reach [m]."""


def field_of(objects: list[Object], *, table: bool = False) -> Field:
    """The kernels' view of several objects, each on a ``table`` or floating."""
    grids, dims, frames, first = [], [], [], 0
    for thing in objects:
        values, origin, spacing = thing.sdf
        grids.append(values.ravel())
        dims.append([*values.shape, first])
        first += values.size
        height = thing.foot if table else NO_TABLE
        frames.append([*origin, 1 / spacing, spacing, *thing.centre, np.linalg.norm(thing.extents) / 2, height])
    return Field(np.concatenate(grids), np.array(dims, np.int64), np.array(frames, np.float32))


def _read_pieces(path: Path, scale: float) -> Object:
    with np.load(path) as z:
        missing = [k for k in ("vertices", "faces", "n_pieces") if k not in z]
        if missing:
            raise ValueError(
                f"{path.name} has no {', '.join(missing)}; expected vertices, faces, n_pieces, piece00_v, piece00_f, ..."
            )
        parts = [(z[f"piece{i:02d}_v"] * scale, z[f"piece{i:02d}_f"]) for i in range(int(z["n_pieces"]))]
        vertices, faces = z["vertices"] * scale, z["faces"]
    pieces = tuple(_hull(np.asarray(v, float)) for v, _ in parts if len(v) >= 4 and np.isfinite(v).all())
    pieces = tuple(p for p in pieces if p is not None)
    if not pieces:
        raise ValueError(f"{path.name} holds no solid piece; expected at least one convex piece of four or more points")
    dropped = len(parts) - len(pieces)
    report = (f"{dropped} flat or empty of {len(parts)} pieces dropped",) if dropped else ()
    return Object(path.stem, pieces, np.asarray(vertices, float), np.asarray(faces, np.int64), report)


def read_triangles(path: Path) -> "Trimesh":
    """The triangles of a mesh file as they stand there, in the file's units."""
    import trimesh

    try:
        mesh = cast("Trimesh", trimesh.load(path, force="mesh", process=False))
    except Exception as error:
        raise ValueError(f"{path.name} cannot be read as a mesh ({error}); expected {', '.join(MESHES)}") from error
    if len(getattr(mesh, "faces", ())) == 0:
        raise ValueError(f"{path.name} has no faces; expected a triangle mesh of a closed surface")
    return mesh


def _read_mesh(path: Path, scale: float) -> Object:
    import trimesh

    mesh = read_triangles(path)
    mesh.apply_scale(scale)
    report: list[str] = []
    if not np.isfinite(mesh.vertices).all():
        raise ValueError(f"{path.name} has vertices that are not finite; repair the file")
    bodies = _closed_bodies(mesh) if path.suffix.lower() != ".stl" else []
    if bodies:
        pieces = tuple(p for body in bodies for p in _decompose(body)[0])
        return Object(
            path.stem,
            pieces,
            np.asarray(mesh.vertices, float),
            np.asarray(mesh.faces, np.int64),
            (f"{len(bodies)} closed bodies taken as one object of {len(pieces)} convex pieces",),
        )
    mesh.merge_vertices()
    good = mesh.nondegenerate_faces()
    if not good.all():
        report.append(f"{int((~good).sum())} degenerate of {len(good)} triangles dropped")
        mesh.update_faces(good)
    if len(mesh.faces) < 4:
        raise ValueError(f"{path.name} has {len(mesh.faces)} triangles of non-zero area; expected a closed surface")
    report += _close(mesh, path.name)
    trimesh.repair.fix_normals(mesh)
    pieces, sentence = _decompose(mesh)
    if sentence:
        report.append(sentence)
    if not pieces:
        raise ValueError(f"{path.name} is flat: it encloses no volume; expected a solid object")
    return Object(path.stem, pieces, np.asarray(mesh.vertices, float), np.asarray(mesh.faces, np.int64), tuple(report))


def _closed_bodies(mesh: "Trimesh") -> "list[Trimesh]":
    """The parts of a mesh of several closed surfaces that touch or overlap; empty if it is not such a mesh."""
    bodies = mesh.split(only_watertight=False)
    return list(bodies) if len(bodies) > 1 and all(b.is_watertight and len(b.faces) >= 4 for b in bodies) else []


def open_edges(mesh: "Trimesh") -> int:
    """Edges that do not belong to exactly two triangles."""
    _, counts = np.unique(mesh.edges_sorted, axis=0, return_counts=True)
    return int((counts != 2).sum())


def _close(mesh: "Trimesh", name: str) -> list[str]:
    """Fill small holes in place; say so, or refuse a surface with wide gaps."""
    import trimesh

    before = open_edges(mesh)
    if not before:
        return []
    trimesh.repair.fill_holes(mesh)
    after = open_edges(mesh)
    if after > 0.02 * len(mesh.edges_unique):
        raise ValueError(
            f"{name} is open: {before} edges do not join two triangles ({after} after repair); close the surface, "
            "or give its convex pieces as .npz"
        )
    return [f"{before} open edges, {before - after} of them repaired"]


def _decompose(mesh: "Trimesh") -> tuple[tuple, str]:
    """Convex pieces of a closed mesh: its hull if that is the same solid, else an approximate decomposition (CoACD)."""
    hull = _hull(np.asarray(mesh.vertices, float))
    if hull is None:
        return (), ""
    v, f = hull
    normals = np.cross(v[f[:, 1]] - v[f[:, 0]], v[f[:, 2]] - v[f[:, 0]])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    depth = -(mesh.triangles_center @ normals.T - (normals * v[f[:, 0]]).sum(1)).max(1)
    if depth.max() < 0.02 * np.ptp(v, axis=0).max():  # no face lies deep inside the hull: the mesh is its hull
        return (hull,), ""
    import coacd

    coacd.set_log_level("error")
    parts = coacd.run_coacd(
        coacd.Mesh(mesh.vertices, mesh.faces),
        threshold=0.05,
        max_convex_hull=32,
        mcts_iterations=60,
        mcts_max_depth=2,
        seed=0,
    )
    pieces = tuple(p for p in (_hull(np.asarray(v, float)) for v, _ in parts) if p is not None)
    return pieces, f"decomposed into {len(pieces)} convex pieces"


def _hull(points: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Convex hull as (vertices, faces counter-clockwise from outside), or None where the points are flat."""
    from scipy.spatial import ConvexHull, QhullError

    try:
        hull = ConvexHull(points)
    except QhullError:
        return None
    if hull.volume < 1e-10:
        return None
    used, faces = np.unique(hull.simplices, return_inverse=True)
    vertices, faces = points[used], faces.reshape(-1, 3)
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    flip = (np.cross(b - a, c - a) * hull.equations[:, :3]).sum(1) < 0
    faces[flip] = faces[flip][:, ::-1]
    return vertices, faces


def _volume_moment(v: np.ndarray, f: np.ndarray) -> tuple[float, np.ndarray]:
    """Volume [m^3] and first moment [m^4] of a convex piece."""
    a, b, c = (v[f[:, i]] for i in range(3))
    inner = v.mean(0)
    volumes = np.abs(((a - inner) * np.cross(b - inner, c - inner)).sum(1)) / 6
    return volumes.sum(), (volumes[:, None] * (a + b + c + inner) / 4).sum(0)

"""The contact sheet: grasps drawn by a small software renderer, so that a person can look at them."""

from io import BytesIO

import numpy as np

from .hand import Hand
from .object import Object

SIZE = 260
LIGHT = np.array([0.4, 0.3, 0.86])
OBJECT, PALM, GOOD, BAD, UNKNOWN = (226, 160, 84), (150, 158, 168), (92, 160, 106), (196, 84, 78), (104, 128, 176)


def contact_sheet(
    hand: Hand, thing: Object, poses: np.ndarray, held: list[bool | None], title: str, columns: int = 4
) -> bytes:
    """PNG of grasps side by side: the object, and the hand green where it held, red where not, blue where not simulated."""
    from PIL import Image, ImageDraw

    rows = max(1, -(-len(poses) // columns))
    sheet = Image.new("RGB", (columns * SIZE, rows * SIZE + 24), "white")
    for i, pose in enumerate(poses):
        colour = UNKNOWN if held[i] is None else GOOD if held[i] else BAD
        sheet.paste(Image.fromarray(draw(hand, thing, pose, colour)), (i % columns * SIZE, 24 + i // columns * SIZE))
    ImageDraw.Draw(sheet).text((6, 6), title, fill="black")
    out = BytesIO()
    sheet.save(out, "PNG", optimize=True)
    return out.getvalue()


def draw(hand: Hand, thing: Object, pose: np.ndarray, colour: tuple[int, int, int], size: int = SIZE) -> np.ndarray:
    """One grasp as (size, size, 3) uint8, seen along the palm's side so that object and fingers both show."""
    triangles, colours = [], []
    for v, f in thing.pieces:
        triangles.append(v[f])
        colours += [OBJECT] * len(f)
    for link, mesh in hand_meshes(hand, pose):
        triangles.append(mesh)
        colours += [PALM if link == 0 else colour] * len(mesh)
    corners = np.concatenate(triangles)
    base = _matrix(pose[3:7])
    view = _view(base @ hand.palm[0], base @ hand.palm[1])
    seen = corners @ view.T
    seen -= (seen.reshape(-1, 3).max(0) + seen.reshape(-1, 3).min(0)) / 2
    return _raster(seen, np.array(colours, float), size)


def hand_meshes(hand: Hand, pose: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """Triangles (n, 3, 3) [m] of every solid of the hand at a pose, with the link each belongs to."""
    skin = hand.tables.skin
    frames = link_frames(hand, pose)
    out = []
    for row, link in zip(skin.solids.astype(float), skin.solid_links, strict=True):
        vertices, faces = _solid_mesh(row[12:15], row[15])
        rotation, origin = frames[link]
        placed = (vertices @ row[3:12].reshape(3, 3).T + row[:3]) @ rotation.T + origin
        out.append((int(link), placed[faces]))
    return out


def link_frames(hand: Hand, pose: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Rotation and origin of every link at a pose, in double precision."""
    from scipy.spatial.transform import Rotation

    links, parents = hand.tables.chain.links.astype(float), hand.tables.chain.parents
    frames = [(_matrix(pose[3:7]), np.asarray(pose[:3], float))]
    for link in range(1, len(links)):
        rotation, origin = frames[parents[link]]
        turn = Rotation.from_rotvec(links[link, 12:15] * pose[6 + link]).as_matrix()
        frames.append((rotation @ links[link, 3:12].reshape(3, 3) @ turn, rotation @ links[link, :3] + origin))
    return frames


def _matrix(quat: np.ndarray) -> np.ndarray:
    from scipy.spatial.transform import Rotation

    return Rotation.from_quat(quat, scalar_first=True).as_matrix()


def _view(facing: np.ndarray, fingers: np.ndarray) -> np.ndarray:
    """Rows right, up, toward the eye: fingers up, the palm seen from its side and a little from the front."""
    eye = np.cross(facing, fingers) + 0.55 * facing + 0.25 * fingers
    eye /= np.linalg.norm(eye)
    right = np.cross(fingers, eye)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(eye, right), eye])


def _solid_mesh(half: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Hull triangles of a box, or of a capsule as two half balls."""
    from scipy.spatial import ConvexHull

    if radius:
        u, v = np.meshgrid(np.linspace(0, 2 * np.pi, 14, endpoint=False), np.linspace(-1, 1, 9))
        ring = np.sqrt(1 - v**2)
        ball = radius * np.stack([ring * np.cos(u), ring * np.sin(u), v], -1).reshape(-1, 3)
        up = np.array([0, 0, half[2]])
        points = np.concatenate([ball + up, ball - up])
    else:
        points = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * half
    return points, ConvexHull(points).simplices


def _raster(corners: np.ndarray, colours: np.ndarray, size: int) -> np.ndarray:
    """Paint triangles (n, 3, 3), axes (right, up, toward the eye), nearest on top, lit from above."""
    span = np.abs(corners[..., :2]).max() * 2.1
    xy = corners[..., :2] / span * size * [1, -1] + size / 2
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    shade = 0.35 + 0.65 * np.abs(normal @ LIGHT)
    image, depth = np.full((size, size, 3), 255, np.uint8), np.full((size, size), -np.inf)
    for (a, b, c), z, tint in zip(xy, corners[..., 2], colours * shade[:, None], strict=True):
        low = np.clip(np.floor(np.minimum(np.minimum(a, b), c)), 0, size - 1).astype(int)
        high = np.clip(np.ceil(np.maximum(np.maximum(a, b), c)) + 1, 1, size).astype(int)
        area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
        if abs(area) < 1e-9 or (high <= low).any():
            continue
        x, y = np.meshgrid(np.arange(low[0], high[0]) + 0.5, np.arange(low[1], high[1]) + 0.5)
        v = ((c[1] - a[1]) * (x - a[0]) - (c[0] - a[0]) * (y - a[1])) / area
        w = ((b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0])) / area
        here = z[0] + v * (z[1] - z[0]) + w * (z[2] - z[0])
        part = (slice(low[1], high[1]), slice(low[0], high[0]))
        front = (v >= 0) & (w >= 0) & (v + w <= 1) & (here > depth[part])
        depth[part][front] = here[front]
        image[part][front] = tint
    return image

"""What a linear filter of starlet scales leaves of the noise, pixel by pixel, by propagation and not by simulation."""

from functools import cache

import numpy as np

from tasks.array.tiling import Tile
from tasks.denoise.scene import SceneModel
from tasks.denoise.starlet import LEVELS, REACH

TAPS = (0.0625, 0.25, 0.375, 0.25, 0.0625)


def noise_left(tile: Tile, scene: SceneModel, gain: np.ndarray) -> np.ndarray:
    """Standard deviation that the noise of the input causes in each sample of the result.

    Parameters
    ----------
    tile : Tile
    scene : SceneModel
        In components whose noise is white and independent, all of them.
    gain : (component, scale) float array
        What the filter keeps of each starlet scale; details first, finest first.

    Returns
    -------
    (y, x, band) float32 array
        Of the tile's core, in the unit of the cube; NaN in bands that pass through unchanged. Larger near the border of
        the scene, where mirrored pixels are averaged with themselves.

    Notes
    -----
    With S_i the i-th smoothing, the filter is sum_i c_i S_i, and the variance it leaves at a pixel is
    sum_ij c_i c_j (S_i S_j')(pixel, pixel). The smoothings are separable, so the last factor is one number per row times
    one per column, and the sum over components can be taken first.
    """
    steps = np.diff(gain, axis=1, prepend=0.0)
    pairs = np.einsum("ki,kj->kij", steps, steps).reshape(len(steps), -1)
    variance = pairs.T @ (scene.basis * scene.sigma[:, None]).T ** 2
    along_y, along_x = (overlaps(tile.shape[a])[:, tile.core[a]] for a in (0, 1))
    places = np.einsum("py,px->yxp", along_y, along_x).astype(np.float32)
    left = np.sqrt(np.maximum(places @ variance.astype(np.float32), 0))
    left[..., ~scene.used] = np.nan
    return left


@cache
def overlaps(size: int) -> np.ndarray:
    """(pair of smoothings, place) on an axis of ``size`` mirrored samples: how much two smoothings share at each place.

    Further from the ends than the filter reaches all places are alike, so a short axis stands for any longer one.
    """
    short = min(size, 4 * REACH)
    smoothings = [np.eye(short)]
    extended = np.pad(np.eye(short), ((REACH, REACH), (0, 0)), mode="symmetric")
    for level in range(LEVELS):
        step = 2**level
        extended = np.sum([t * np.roll(extended, (k - 2) * step, axis=0) for k, t in enumerate(TAPS)], axis=0)
        smoothings.append(extended[REACH : REACH + short])
    pairs = np.array([(a * b).sum(1) for a in smoothings for b in smoothings])
    place = np.arange(size)
    place = np.where(place < short // 2, place, np.maximum(place - size + short, short // 2))
    return pairs[:, place]

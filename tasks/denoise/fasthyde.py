"""FastHyDe: the scene's components, each a clean-looking image, denoised by groups of similar patches."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from tasks.array.namespace import namespace
from tasks.denoise import anscombe
from tasks.denoise.eigenimages import EigenImages
from tasks.denoise.robust import RobustModel
from tasks.denoise.scene import SceneModel
from tasks.denoise.streaming import denoise_cube

Noise = Literal["band", "iid", "poisson"]


@dataclass(frozen=True)
class FastHyDe(EigenImages):
    """Whiten, rotate to components, filter them jointly by similar patches, rotate back.

    ``rank``: number of components; by default those that exceed what noise alone would show. ``noise``: "band" finds
    the noise of every band, "iid" one for all bands, "poisson" stabilises counts first. ``gain``: value of one count
    ("poisson"), such that cube / gain is Poisson distributed. ``clip``: negative values count as none ("poisson"), rather
    than being refused. ``robust``: mend outliers and stripes first.

    Raises
    ------
    ValueError
        For another ``noise``, a gain that is not positive, or, with "poisson", negative values.

    References
    ----------
    Zhuang & Bioucas-Dias, IEEE JSTARS 11(3):730-742, 2018.
    """

    noise: Noise = "band"
    gain: float = 1.0
    robust: bool = False
    clip: bool = False

    def __post_init__(self) -> None:
        if self.noise not in get_args(Noise):
            raise ValueError(f'the noise is "{self.noise}", expected one of {", ".join(get_args(Noise))}; choose one')
        if not self.gain > 0:
            raise ValueError(
                f"the gain is {self.gain}, expected a positive value of one count; leave it out for counts"
            )

    @property
    def equal_noise(self) -> bool:
        """Whether all bands share one noise."""
        return self.noise == "iid"

    @property
    def stabilises(self) -> bool:
        """Whether values are counts that are stabilised first."""
        return self.noise == "poisson"

    def encode(self, block: Any, valid: Any) -> Any:
        """Values whose noise does not depend on the signal; applied before any sum over pixels."""
        if self.noise != "poisson":
            return block
        counted = namespace(block).maximum(block, np.float32(0)) if self.clip else block
        return anscombe.stabilised(counted, valid, self.gain)

    def decode(self, clean: Any) -> Any:
        """Denoised values of `encode` back in the cube's unit."""
        return anscombe.restored(clean, self.gain) if self.noise == "poisson" else clean

    def measured(self, scene: SceneModel, values: np.ndarray) -> np.ndarray:
        """Noise (band,) of `encode` in the cube's unit, at the mean of each band."""
        if self.noise != "poisson":
            return values
        return values * np.maximum(scene.mean, anscombe.LEAST) / 2 * self.gain

    def denoise(self, cube: Any, valid: Any, model: RobustModel | None = None) -> Any:
        """A checked cube in memory, denoised; ``model`` where it was fitted already."""
        return self.decode(denoise_cube(self, self.encode(cube, valid), valid, model))

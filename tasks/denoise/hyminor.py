"""HyMiNoR: HyRes for the Gaussian part of mixed noise, then spectra without the spikes that are left."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tasks.denoise.hyres import HyRes
from tasks.denoise.scene import SceneModel
from tasks.denoise.shrinkage import Shrinkage
from tasks.denoise.spectral import without_spikes

ROWS = 32


@dataclass(frozen=True)
class HyMiNoR(HyRes):
    """HyRes on the mended cube, then spectral total variation with an absolute misfit.

    ``weight``: of the total variation; above 0.5 a band that stands out alone is drawn back to its neighbours.
    The other parameters are those of `HyRes`.

    References
    ----------
    Rasti, Ghamisi & Benediktsson, IEEE GRSL 17(3):474-478, 2020. Outliers are mended before the covariance is taken,
    where the paper leaves them to the last step, when they have spread over all bands.
    """

    robust: bool = True
    weight: float = 0.6

    def __post_init__(self) -> None:
        if not self.weight > 0:
            raise ValueError(f"the weight is {self.weight}, expected a positive number; 0.6 removes single-band spikes")

    def spectra(self, kept: Any, scene: SceneModel, plan: Shrinkage) -> Any:
        """Denoised spectra (y, x, band) without what stands out in a band or two."""
        clean = super().spectra(kept, scene, plan)
        bands = np.flatnonzero(scene.used)
        scale = max(float(np.median(self.expected_error(scene, plan)[bands])), 1e-30)
        for start in range(0, len(clean), ROWS):  # part by part: no second cube
            part = clean[start : start + ROWS]
            spectra = part[..., bands].reshape(-1, len(bands))
            part[..., bands] = without_spikes(spectra, self.weight, scale).reshape(*part.shape[:2], -1)
        return clean

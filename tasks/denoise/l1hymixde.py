"""L1HyMixDe: mixed noise, told apart by turns into scene (FastHyDe) and sparse outliers (what it cannot explain)."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from tasks.denoise.eigenimages import EigenImages
from tasks.denoise.outliers import repair
from tasks.denoise.robust import RobustModel, fit_robust
from tasks.denoise.streaming import bands_of, denoise_cube, sample_of

Stripes = Literal["columns", "rows"]


@dataclass(frozen=True)
class L1HyMixDe(EigenImages):
    """Gaussian noise besides stripes, dead lines and impulses.

    ``rank``: number of components; by default those that exceed what noise alone would show and are no stripes.
    ``stripes``: the direction along which a detector element writes, "columns" (along y, pushbroom) or "rows".
    ``repeats``: how often outliers are looked for again, against the scene that came out.
    ``robust``: begin with the robust front end.

    Raises
    ------
    ValueError
        For another direction, or a negative number of repeats.

    References
    ----------
    Zhuang & Ng, IEEE JSTARS 13:1143-1157, 2020. Outliers here are removed whole where they are significant, and
    stripes as one offset per column, which needs far fewer numbers than one outlier per sample.
    """

    stripes: Stripes = "columns"
    repeats: int = 1
    robust: bool = True

    def __post_init__(self) -> None:
        if self.stripes not in get_args(Stripes):
            raise ValueError(f'the stripes run along "{self.stripes}", expected "columns" or "rows"; choose one')
        if self.repeats < 0:
            raise ValueError(f"the number of repeats is {self.repeats}, expected 0 or more")

    @property
    def looks(self) -> int:
        """How often outliers are looked for again."""
        return self.repeats

    @property
    def settled(self) -> EigenImages:
        """What denoises a cube without outliers."""
        return EigenImages(self.rank)

    def denoise(self, cube: Any, valid: Any, model: RobustModel | None = None) -> Any:
        """A checked cube in memory, denoised; ``model`` where it was fitted already."""
        if self.stripes == "rows":
            return np.swapaxes(self._by_turns(np.swapaxes(cube, 0, 1), _swapped(valid)), 0, 1)
        return self._by_turns(cube, valid, model)

    def _by_turns(self, cube: Any, valid: Any, model: RobustModel | None = None) -> Any:
        model = model or fit_robust(*sample_of(cube, valid), bands_of(cube, valid))
        clean = denoise_cube(self, cube, valid, model)
        for _ in range(self.repeats):
            repaired = repair(cube, clean, valid, model.sigma).cube
            del clean  # a cube less in memory while the next one is made
            clean = denoise_cube(self.settled, repaired, valid)
        return clean


def _swapped(valid: Any) -> Any:
    return None if valid is None else np.swapaxes(valid, 0, 1)

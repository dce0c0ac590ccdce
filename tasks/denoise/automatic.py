"""``auto``: look at a sample, say what kind of noise it has, and choose the method that fits."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tasks.denoise.anscombe import stabilised
from tasks.denoise.eigenimages import EigenImages
from tasks.denoise.fasthyde import FastHyDe
from tasks.denoise.l1hymixde import L1HyMixDe
from tasks.denoise.robust import Mended, RobustModel, fit_robust, fitted, mend
from tasks.denoise.streaming import ScoreMethod, bands_of, sample_of

OUTLIERS = 1e-3
"""Share of outliers above which the front end is used; Gaussian noise shows 6e-5, a real scene without damage up to 9e-4."""
CLUMPED = 0.15
"""Correlation of neighbouring pixels' outliers from which a band's outliers are scene: damage shows 0, most misfits more."""
COLUMNS = 2e-3
"""Share of columns with an offset larger than the noise above which the front end is used."""
STRIPES = 0.02
"""Mean square of the columns' offsets, over the noise's, above which it is used as well: many faint stripes."""
ALIKE = 0.25
"""Correlation of neighbouring columns' offsets above which they are shades of the scene, not stripes."""
UNEQUAL = 1.3
"""Largest over typical noise of a band above which bands count as unequal."""
DEPENDENT = 0.05
"""Correlation of the residual's magnitude with the signal above which noise counts as signal-dependent."""
PHOTONS = 0.12
"""The same correlation above which photon noise is tried; below, stabilising costs 0.1 to 1 dB and gains nothing."""
NEGATIVE = 1e-3
"""Share of negative values above which they are no photons."""


@dataclass(frozen=True)
class Diagnosis:
    """What kind of noise a scene has, in numbers and in sentences."""

    outlier_fraction: float
    stripe_fraction: float
    stripe_power: float
    dead_fraction: float
    rare_fraction: float
    noise_ratio: float
    signal_dependence: float
    gain: float | None = None
    reasons: tuple[str, ...] = field(default=())

    @property
    def mixed(self) -> bool:
        """Whether there is more than Gaussian noise."""
        return self.outlier_fraction > OUTLIERS or self.striped or self.dead_fraction > 0

    @property
    def striped(self) -> bool:
        """Whether columns carry offsets worth removing."""
        return self.stripe_fraction > COLUMNS or self.stripe_power > STRIPES


def diagnose(sample: Any, valid: Any, model: RobustModel) -> Diagnosis:
    """Measure the kinds of noise in a sample.

    Parameters
    ----------
    sample : (y, x, band) float32 array
        Pieces of columns, as `tasks.denoise.sample` chooses them.
    valid : (y, x, band) bool array or None
    model : RobustModel
        Fitted to the sample.
    """
    found = _measured(mend(sample, valid, model), model)
    if found.signal_dependence > PHOTONS:
        found = replace(found, gain=_photon_gain(sample, valid, model))
    return replace(found, reasons=tuple(_sentences(found)))


def _measured(mended: Mended, model: RobustModel) -> Diagnosis:
    used = model.used
    sigma = model.sigma[used]
    offset = np.where(_alike(mended.offset[:, used]), 0, mended.offset[:, used] / sigma)
    return Diagnosis(
        outlier_fraction=_damaged((mended.outlier & ~mended.dead)[..., used]),
        stripe_fraction=float((np.abs(offset) > 1).mean()),
        stripe_power=float((offset**2).mean()),
        dead_fraction=float(mended.dead[:, used].mean()),
        rare_fraction=float(mended.rare.mean()),
        noise_ratio=float(np.quantile(sigma, 0.95) / np.median(sigma)),
        signal_dependence=_signal_dependence(mended, model),
    )


def _damaged(outlier: np.ndarray) -> float:
    """Share of outliers (y, x, band) that are damage: it hits sample by sample, whereas fields that the model does not
    know, and there are such in every real scene, lie side by side."""
    share = outlier.mean((0, 1))
    pairs = [(outlier[1:], outlier[:-1]), (outlier[:, 1:], outlier[:, :-1])]
    both = np.max([(a & b).mean((0, 1)) if a.size else 0 * share for a, b in pairs], axis=0)
    clumped = (both - share**2) / np.maximum(share - share**2, 1e-30)
    return float((share * (1 - np.clip(clumped / CLUMPED, 0, 1))).mean())


def _alike(offset: np.ndarray) -> np.ndarray:
    """Bands whose neighbouring columns have offsets (x, band) alike, more than few columns have by chance."""
    limit = max(ALIKE, 2 / len(offset) ** 0.5)
    return (offset[1:] * offset[:-1]).sum(0) > limit * np.maximum((offset**2).sum(0), 1e-30)


def _photon_gain(sample: Any, valid: Any, model: RobustModel) -> float | None:
    """Value of one count, where photons explain the noise: their counts, stabilised, have unit noise in all bands that
    does not depend on the signal, and show no damage.

    Offsets of columns below the noise are no damage here: shading makes stabilised counts bend away from any subspace of few
    components, which from about 2000 counts shows in the medians of some columns.
    """
    used = model.used
    if (sample < 0).mean() > NEGATIVE or model.mean[used].min() <= 0:
        return None
    sample = np.maximum(sample, np.float32(0))
    gain = float(np.median(model.sigma[used] ** 2 / model.mean[used]))
    for _ in range(2):
        counts = stabilised(sample, valid, gain)
        fit = fit_robust(counts, valid, used)
        gain *= float(np.median(fit.sigma[fit.used]) ** 2)
    mended = mend(counts, valid, fit)
    faint = np.abs(mended.offset) < fit.sigma
    again = _measured(replace(mended, offset=np.where(faint, 0, mended.offset)), fit)
    equal = again.noise_ratio < UNEQUAL and abs(again.signal_dependence) < PHOTONS / 2
    return gain if equal and not again.mixed else None


def _signal_dependence(mended: Mended, model: RobustModel) -> float:
    """Median over bands of the correlation between the residual's magnitude and the signal."""
    cube = np.nan_to_num(mended.cube)[..., model.used]
    fit = fitted(cube, model)
    away = np.abs(cube - fit).reshape(-1, cube.shape[-1])
    level = fit.reshape(away.shape)
    away, level = away - away.mean(0), level - level.mean(0)
    scale = np.sqrt((away**2).sum(0) * (level**2).sum(0))
    return float(np.median((away * level).sum(0) / np.maximum(scale, 1e-30)))


def _sentences(found: Diagnosis) -> list[str]:
    """What was found, in the order in which it matters."""
    out = []
    if found.outlier_fraction > OUTLIERS:
        out.append(f"{found.outlier_fraction:.2%} of the samples are impulses or other outliers")
    if found.dead_fraction:
        out.append(f"{found.dead_fraction:.2%} of the columns are dead in their band")
    if found.striped:
        size = found.stripe_power**0.5
        out.append(
            f"columns carry offsets in their bands (stripes): {size:.2g} times the noise in the root mean square, "
            f"{found.stripe_fraction:.2%} of them more than the noise"
        )
    if found.rare_fraction:
        out.append(f"{found.rare_fraction:.2%} of the pixels are unlike the rest of the scene and are kept as they are")
    unequal = found.noise_ratio > UNEQUAL
    out.append("the noise differs between bands" if unequal else "the noise is much the same in all bands")
    if found.signal_dependence > DEPENDENT:
        out.append("the noise grows with the signal")
    if found.gain is not None:
        out.append(f"it is that of photons: fasthyde with noise=poisson, gain={found.gain:.6g}")
    return out


@dataclass(frozen=True)
class Auto(ScoreMethod):
    """FastHyDe, for photon noise where a sample of the scene shows that, or L1HyMixDe where it shows damage.

    ``rank``: number of components; by default those that exceed what noise alone would show. HyRes with its second look
    takes a third of the time and is 0.4 to 3 dB worse on every scene tried, synthetic or real.
    """

    rank: int | None = None

    def choose(self, diagnosis: Diagnosis) -> EigenImages:
        """The method for this noise."""
        if diagnosis.gain is not None:
            return FastHyDe(self.rank, noise="poisson", gain=diagnosis.gain, clip=True)
        return L1HyMixDe(self.rank) if diagnosis.mixed else FastHyDe(self.rank)

    def denoise(self, cube: Any, valid: Any) -> Any:
        """A checked cube in memory, denoised."""
        model, diagnosis = diagnose_cube(cube, valid)
        return self.choose(diagnosis).denoise(cube, valid, model)


def diagnose_cube(cube: Any, valid: Any) -> tuple[RobustModel, Diagnosis]:
    """The robust model and the diagnosis of a cube in memory."""
    sample, marks = sample_of(cube, valid)
    model = fit_robust(sample, marks, bands_of(cube, valid))
    return model, diagnose(sample, marks, model)

"""The robust front end: impulses, dead lines and stripes are found and mended before any sum over pixels sees them.

A subspace and the noise are fitted to a sample of the scene while samples that do not fit are left out; then whole
columns are mended one strip at a time, because a stripe or a dead line shows only along its column.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tasks.array.namespace import namespace, to_host
from tasks.array.statistics import MAD_TO_SIGMA
from tasks.denoise.checks import usable_bands
from tasks.denoise.moments import interpolated
from tasks.denoise.noise import noise_edge, refined_sigma, regression_sigma

LIMIT = 4.0
"""A sample further than this from the model is an outlier [sigma]; noise alone gets there in 6 of 100 000 cases."""
RARE = 0.25
"""A pixel that disagrees with the model in more than this fraction of its bands is rare, not damaged."""
LONELY = 3.0
"""How much further than its neighbours in the spectrum an outlier lies."""
ROUNDS = 4
PASSES = 3
DEAD = 0.1
"""Spread along a dead column, over the noise of its band."""


@dataclass(frozen=True)
class RobustModel:
    """What fits most of a scene: ``mean, sigma`` (band,), ``basis`` (band, component) orthonormal in whitened space.

    ``column_spread`` (band,): how much columns differ in their mean distance from the model.
    ``bend, bend_sigma`` (band,): how far a band lies from its neighbours in the spectrum, typically and in spread.
    ``used`` (band,): bands that vary; ``outlier_fraction`` (band,): share of the sample that does not fit.
    """

    mean: np.ndarray
    sigma: np.ndarray
    basis: np.ndarray
    column_spread: np.ndarray
    bend: np.ndarray
    bend_sigma: np.ndarray
    used: np.ndarray
    outlier_fraction: np.ndarray


@dataclass(frozen=True)
class Mended:
    """A strip of whole columns after mending.

    ``cube`` (y, x, band) float32 with outliers replaced and stripes removed, NaN where a pixel had no valid band;
    ``outlier`` (y, x, band) bool; ``offset`` (x, band) what was subtracted; ``dead`` (x, band) bool;
    ``rare`` (y, x) bool, pixels unlike the rest of the scene, which were left as they are.
    """

    cube: Any
    outlier: Any
    offset: Any
    dead: Any
    rare: Any


def fit_robust(sample: Any, valid: Any, bands: np.ndarray) -> RobustModel:
    """Fit the model to a sample.

    Parameters
    ----------
    sample : (y, x, band) float32 array
        Pieces of columns of the scene; zero where not valid.
    valid : (y, x, band) bool array or None
    bands : (band,) bool array
        Bands to use.
    """
    sample = to_host(sample)
    known = np.ones(sample.shape, bool) if valid is None else to_host(valid)
    low = np.where(known, sample, np.inf).min((0, 1))
    high = np.where(known, sample, -np.inf).max((0, 1))
    used = np.asarray(bands) & (high > low)
    values, known = sample[..., used], known[..., used]
    bend, bend_sigma = _bends(values, known)
    good = known & ~_bent(values, bend, bend_sigma)
    filled = _filled(np, values, good, known, bend)
    mean, sigma, basis, column_spread, good = _alternate(values, known, filled)
    lost = 1 - good.sum((0, 1)) / np.maximum(known.sum((0, 1)), 1)
    parts = (mean, sigma, basis, column_spread, bend, bend_sigma, lost)
    full = [np.zeros((len(used), *part.shape[1:])) for part in parts]
    for whole, part in zip(full, parts, strict=True):
        whole[used] = part
    return RobustModel(*full[:6], used=used, outlier_fraction=full[6])


def sample_sigma(sample: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Noise (band,) of a sample (y, x, band); NaN in bands that cannot tell: seldom valid, constant, too few pixels."""
    bands = usable_bands(valid.sum((0, 1)))
    sigma = np.full(len(bands), np.nan)
    complete = valid[..., bands].all(-1) if bands.any() else np.zeros((), bool)
    if complete.sum() <= max(2 * bands.sum(), 8):
        return sigma
    model = fit_robust(np.where(valid, sample, np.float32(0)), None if valid.all() else valid, bands)
    sigma[model.used] = model.sigma[model.used]
    return sigma


def _alternate(values: np.ndarray, known: np.ndarray, filled: np.ndarray) -> tuple[np.ndarray, ...]:
    """Model and outliers in turn, each from the other."""
    for round_ in range(ROUNDS):
        mean, sigma, basis = _subspace(filled[known.any(-1)], LIMIT ** max(0, 2 - round_))
        fit = _nearest(filled, mean, sigma, basis)
        away = values - fit
        free = np.sqrt(1 - np.minimum((basis**2).sum(1), 0.9))
        sigma = np.maximum(_spreads(away, known) / free, 1e-6 * filled.std((0, 1)))
        column_spread = _column_spread(away, known, sigma)
        offset, dead = _columns(np, values, away, known, sigma, column_spread)
        bad = (_lonely((away - offset) / sigma.astype(np.float32)) | dead) & known
        rare = _rare(bad & ~dead, known)[..., None] & ~dead
        good = known & (~bad | rare)
        filled = np.where(good, values - offset, fit)
    return mean, sigma, basis, column_spread, good


def _product(centred: np.ndarray) -> np.ndarray:
    """Sum of outer products in float64, a part at a time."""
    parts = (centred[i : i + 2048].astype(np.float64) for i in range(0, len(centred), 2048))
    return sum(part.T @ part for part in parts)  # type: ignore[return-value]


def _nearest(spectra: np.ndarray, mean: np.ndarray, sigma: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """The spectra of the subspace nearest to these; float32 throughout, to spare memory."""
    forward = (basis / sigma[:, None]).astype(np.float32)
    centre = mean.astype(np.float32)
    fit = ((spectra - centre) @ forward) @ (basis * sigma[:, None]).T.astype(np.float32)
    fit += centre
    return fit


def _column_spread(away: np.ndarray, known: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """How much the columns of a band differ, typically: what a model that does not fit everywhere makes of columns."""
    clipped = np.where(known, np.clip(away, -LIMIT * sigma, LIMIT * sigma), 0).sum(0) / np.maximum(known.sum(0), 1)
    return MAD_TO_SIGMA * np.median(np.abs(clipped), axis=0)


def _subspace(spectra: np.ndarray, caution: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, noise and the components that stand out of it by ``caution``."""
    count, n_band = spectra.shape
    mean = spectra.mean(0, dtype=np.float64)
    cov = _product(spectra - mean.astype(np.float32)) / count
    sigma = refined_sigma(cov, regression_sigma(cov, count), count)
    eigenvalues, vectors = np.linalg.eigh(cov / np.outer(sigma, sigma))
    rank = int(np.clip((eigenvalues > caution * noise_edge(n_band, count)).sum(), 1, max(1, n_band // 3)))
    return mean, sigma, vectors[:, ::-1][:, :rank]


def mend(block: Any, valid: Any, model: RobustModel) -> Mended:
    """Find and mend what does not fit, in a strip of whole columns.

    Parameters
    ----------
    block : (y, x, band) float32 array
        Whole columns of the scene; zero where not valid.
    valid : (y, x, band) bool array or None
    model : RobustModel
    """
    xp = namespace(block)
    used = xp.asarray(np.flatnonzero(model.used))
    values = block[..., used]
    known = xp.ones(values.shape, bool) if valid is None else valid[..., used]
    part = _Part(xp, model)
    good = known & ~_bent(values, part.bend, part.bend_sigma)
    fit = part.fit(_filled(xp, values, good, known, part.bend))
    offset, dead = _columns(xp, values, values - fit, known, part.sigma, part.column_spread)
    values = values - offset
    for _ in range(PASSES):
        bad = (_lonely((values - fit) / part.sigma) & known) | dead
        rare = _rare(bad & ~dead, known)
        good = known & (~bad | (rare[..., None] & ~dead))
        fit = part.fit(xp.where(good, values, fit))
    mended = block.copy()
    mended[..., used] = xp.where(good, values, fit)
    mended[~known.any(-1)] = xp.nan
    return Mended(mended, *_spread(xp, block.shape, used, good, known, offset, dead), rare=rare)


def _filled(xp: Any, values: Any, good: Any, known: Any, bend: Any) -> Any:
    """Outliers drawn from their neighbours in the spectrum; samples that are not valid from further away if need be."""
    filled = xp.where(good, values, _neighbours(values) + bend)
    broken = ~known.all(-1)
    if bool(broken.any()):
        filled[broken] = interpolated(values[broken], good[broken])
    return filled


class _Part:
    """The used bands of a model, on the device, and its fit."""

    def __init__(self, xp: Any, model: RobustModel) -> None:
        keep = model.used
        self.xp = xp
        self.mean, self.sigma = (xp.asarray(v[keep], xp.float32) for v in (model.mean, model.sigma))
        self.bend, self.bend_sigma = (xp.asarray(v[keep], xp.float32) for v in (model.bend, model.bend_sigma))
        self.column_spread = xp.asarray(model.column_spread[keep], xp.float32)
        self.forward = xp.asarray(model.basis[keep] / model.sigma[keep, None], xp.float32)
        self.backward = xp.asarray((model.basis[keep] * model.sigma[keep, None]).T, xp.float32)

    def fit(self, cube: Any) -> Any:
        """The nearest spectra of the subspace."""
        flat = cube.reshape(-1, cube.shape[-1])
        return (((flat - self.mean) @ self.forward) @ self.backward + self.mean).reshape(cube.shape)


def fitted(cube: Any, model: RobustModel) -> Any:
    """The nearest spectra of the model to those of ``cube`` (y, x, used band)."""
    return _Part(namespace(cube), model).fit(cube)


def _columns(xp: Any, values: Any, away: Any, known: Any, sigma: Any, column_spread: Any) -> tuple[Any, Any]:
    """Offset of each column and band (zero unless significant), and which columns are dead."""
    count = xp.maximum(known.sum(0), 1)
    mean = xp.where(known, values, 0).sum(0) / count
    spread = xp.sqrt(xp.where(known, (values - mean) ** 2, 0).sum(0) / count)
    dead = (spread < DEAD * sigma) & (count >= 8)
    limit = LIMIT * 1.2533 * sigma / xp.sqrt(count.astype(xp.float32))
    clipped = xp.where(known, xp.clip(away, -LIMIT * sigma, LIMIT * sigma), 0).sum(0) / count
    offset = xp.zeros(mean.shape, xp.float32)
    x, band = xp.nonzero((xp.abs(clipped) > 0.5 * limit) & ~dead & (count >= 8))
    if len(x):
        columns = xp.where(known[:, x, band], away[:, x, band], xp.nan)
        middle = xp.median(columns, axis=0) if bool(known.all()) else xp.nanmedian(columns, axis=0)
        typical = LIMIT * xp.asarray(column_spread)[band]
        offset[x, band] = xp.where(xp.abs(middle) > xp.maximum(limit[x, band], typical), middle, 0)
    return offset, dead


def _lonely(score: Any) -> Any:
    """Samples far from the model [sigma] whose neighbours in the spectrum are not: damage hits single bands, whereas
    a material that the model does not know, or knows badly, shows in all the bands of a feature."""
    xp = namespace(score)
    size = xp.abs(score)
    if size.shape[-1] < 5:
        return size > LIMIT
    return (size > LIMIT) & (size > LONELY * _neighbours(size))


def _rare(bad: Any, known: Any) -> Any:
    return bad.sum(-1) > RARE * namespace(bad).maximum(known.sum(-1), 1)


def _neighbours(values: Any) -> Any:
    """Median of the two bands on either side, mirrored at the ends: the sum less its extremes, halved."""
    xp = namespace(values)
    n = values.shape[-1]
    index = np.abs(np.arange(-2, n + 2))
    index = np.where(index >= n, 2 * (n - 1) - index, index) % n
    four = [values[..., xp.asarray(index[k : k + n])] for k in (0, 1, 3, 4)]
    total = four[0] + four[1] + four[2] + four[3]
    high = xp.maximum(xp.maximum(four[0], four[1]), xp.maximum(four[2], four[3]))
    low = xp.minimum(xp.minimum(four[0], four[1]), xp.minimum(four[2], four[3]))
    return (total - high - low) / 2


def _bends(values: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    away = values - _neighbours(values)
    bend = np.array([np.median(away[..., b][known[..., b]]) for b in range(away.shape[-1])], np.float32)
    return bend, np.maximum(_spreads(away - bend, known), 1e-12)


def _spreads(away: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Robust standard deviation about zero of each band; band by band, because that is what fits a cache."""
    found = [np.median(np.abs(away[..., b][known[..., b]])) for b in range(away.shape[-1])]
    return MAD_TO_SIGMA * np.array(found, np.float64)


def _bent(values: Any, bend: Any, bend_sigma: Any) -> Any:
    """Samples far from their neighbours in the spectrum; none where there are too few bands to tell."""
    xp = namespace(values)
    if values.shape[-1] < 5:
        return xp.zeros(values.shape, bool)
    return xp.abs(values - _neighbours(values) - bend) > 1.1 * LIMIT * bend_sigma


def _spread(xp: Any, shape: tuple[int, ...], used: Any, good: Any, known: Any, offset: Any, dead: Any) -> tuple:
    outlier = xp.zeros(shape, bool)
    outlier[..., used] = known & ~good
    offsets, deads = xp.zeros(shape[1:], xp.float32), xp.zeros(shape[1:], bool)
    offsets[:, used], deads[:, used] = offset, dead
    return outlier, offsets, deads

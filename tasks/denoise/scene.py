"""The scene as a whole: its noise, and the subspace its spectra live in."""

from dataclasses import dataclass

import numpy as np

from tasks.denoise.checks import checked_rank
from tasks.denoise.moments import Moments
from tasks.denoise.noise import covariance, noise_edge, refined_sigma, regression_sigma


@dataclass(frozen=True)
class SceneModel:
    """What pass 1 knows of a scene; small, on the host, sent to every tile.

    ``mean, sigma`` have one entry per band of the cube; ``used`` says which bands vary and are valid often enough;
    the others have zero rows in ``basis``. ``basis`` (band, component) is orthonormal in whitened space and ordered
    by ``eigenvalues``, the variances of the scores in units of the noise.
    """

    shape: tuple[int, int]
    mean: np.ndarray
    sigma: np.ndarray
    used: np.ndarray
    eigenvalues: np.ndarray
    basis: np.ndarray
    count: int
    gaps: bool

    @property
    def n_component(self) -> int:
        """Number of scores per pixel."""
        return self.basis.shape[1]

    @property
    def forward(self) -> np.ndarray:
        """(band, component): scores = (spectrum - mean) @ forward."""
        safe = np.where(self.used, self.sigma, 1.0)
        return self.basis / safe[:, None]

    @property
    def backward(self) -> np.ndarray:
        """(component, band): spectrum = scores @ backward + mean."""
        return (self.basis * np.where(self.used, self.sigma, 0.0)[:, None]).T


def solve_scene(
    moments: Moments,
    bands: np.ndarray,
    shape: tuple[int, int],
    rank: int | None = None,
    equal_noise: bool = False,
) -> SceneModel:
    """Noise, whitening and subspace from the moments of all tiles.

    Parameters
    ----------
    moments : Moments
        Of the whole scene.
    bands : (band,) bool array
        The bands that were to be used.
    shape : (int, int)
        Size of the scene (y, x) [pixels].
    rank : int, optional
        Number of components; by default those whose variance noise alone would not reach (Marchenko & Pastur 1967).
    equal_noise : bool
        All bands share one noise: nothing is whitened, only scaled.

    Raises
    ------
    ValueError
        If fewer pixels than bands are valid, no band varies, or the rank is impossible.
    """
    cov, mean, count = covariance(moments)
    used = np.asarray(bands) & (moments.highest > moments.lowest) & (np.diag(cov) > 0)
    n_used = int(used.sum())
    if not n_used:
        raise ValueError(
            "no usable band varies over the scene, expected at least one; check the mask and the bad bands"
        )
    if count <= n_used:
        raise ValueError(
            f"{count} pixels are valid in all usable bands, expected more than the {n_used} bands; "
            "take a larger scene or leave out bands"
        )
    sub = np.ix_(used, used)
    sigma = refined_sigma(cov[sub], regression_sigma(cov[sub], count), count)
    if equal_noise:
        sigma = np.full_like(sigma, np.sqrt(np.mean(sigma**2)))
    values, vectors = np.linalg.eigh(cov[sub] / np.outer(sigma, sigma))
    values, vectors = values[::-1], vectors[:, ::-1]
    n_component = checked_rank(rank, n_used) or signal_rank(values, count)
    vectors = vectors[:, :n_component] * _signs(vectors[:, :n_component])
    return SceneModel(
        shape=(int(shape[0]), int(shape[1])),
        mean=_band_means(moments, mean, used),
        sigma=_spread(sigma, used),
        used=used,
        eigenvalues=values,
        basis=_spread(vectors, used),
        count=count,
        gaps=bool(moments.empty),
    )


def signal_rank(eigenvalues: np.ndarray, count: int) -> int:
    """How many eigenvalues of the whitened covariance exceed the largest that pure noise would show; at least 1."""
    return max(1, int((eigenvalues > noise_edge(len(eigenvalues), count)).sum()))


def _band_means(moments: Moments, mean: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Means of the used bands; a constant band's constant; zero where a band was never valid."""
    constant = moments.highest == moments.lowest
    return np.where(used, mean, np.where(constant & (moments.seen > 0), moments.lowest, 0.0))


def _signs(vectors: np.ndarray) -> np.ndarray:
    """+-1 per column, such that its entry of largest magnitude becomes positive."""
    return np.sign(vectors[np.abs(vectors).argmax(0), np.arange(vectors.shape[1])])


def _spread(values: np.ndarray, used: np.ndarray) -> np.ndarray:
    full = np.zeros((len(used), *values.shape[1:]))
    full[used] = values
    return full

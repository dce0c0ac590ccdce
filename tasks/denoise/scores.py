"""From spectra to scores in the scene's subspace, and back."""

from typing import Any

import numpy as np

from tasks.array.namespace import at_a_time, namespace
from tasks.denoise.moments import interpolated
from tasks.denoise.scene import SceneModel

ROWS = 512
"""Pixels per product. BLAS picks its path, and so its rounding, by the shape of the matrix: blocks of one shape give
a pixel the same bits whatever tile it came with."""

MANY = 96
"""Components beyond which incomplete spectra are interpolated instead: one linear system per pixel grows too slow."""


def project(block: Any, valid: Any, model: SceneModel) -> Any:
    """Scores of every pixel of a block.

    Parameters
    ----------
    block : (y, x, band) float32 array
        Zero where not valid.
    valid : (y, x, band) bool array or None
    model : SceneModel

    Returns
    -------
    (y, x, component) float32 array
        Noise has unit variance in every component. A pixel that misses some bands gets the scores it is expected to
        have given the others; one that misses all gets NaN.
    """
    xp = namespace(block)
    ny, nx, n_band = block.shape
    forward = xp.asarray(model.forward, xp.float32)
    flat = block.reshape(-1, n_band)
    scores = _in_blocks(xp, flat, xp.asarray(model.mean, xp.float32), forward)
    if valid is not None:
        marks = valid.reshape(flat.shape)[:, xp.asarray(model.used)]
        broken = xp.flatnonzero(~marks.all(1))
        if broken.size and model.n_component > MANY:
            marks = valid.reshape(flat.shape)[broken]
            filled = interpolated(flat[broken], marks)
            scores[broken] = _in_blocks(xp, filled, xp.asarray(model.mean, xp.float32), forward)
            scores[broken[~marks.any(1)]] = xp.nan
        elif broken.size:
            scores[broken] = expected_scores(flat[broken], valid.reshape(flat.shape)[broken], model)
    return scores.reshape(ny, nx, -1)


def _in_blocks(xp: Any, flat: Any, mean: Any, forward: Any) -> Any:
    rows = at_a_time(flat, ROWS)
    scores = xp.empty((len(flat), forward.shape[1]), xp.float32)
    part = xp.zeros((rows, flat.shape[1]), xp.float32)
    for start in range(0, len(flat), rows):
        size = min(rows, len(flat) - start)
        xp.subtract(flat[start : start + size], mean, out=part[:size])
        scores[start : start + size] = (part @ forward)[:size]
    return scores


def expected_scores(spectra: Any, marks: Any, model: SceneModel) -> Any:
    """Scores of incomplete spectra: the mean of what complete ones would give, under the scene's Gaussian model.

    Parameters
    ----------
    spectra : (pixel, band) float32 array
    marks : (pixel, band) bool array
        True = valid.
    model : SceneModel

    Returns
    -------
    (pixel, component) float32 array
        NaN where no band is valid.

    Notes
    -----
    With observed rows O of the basis E and prior variances v = eigenvalue - 1, z = (O'O + 1/v)^-1 O'y, and the
    scores are O'y + M'M z with the missing rows M.
    """
    xp = namespace(spectra)
    out = xp.empty((len(spectra), model.n_component), xp.float32)
    basis = xp.asarray(model.basis)
    mean, forward = xp.asarray(model.mean), xp.asarray(model.forward)
    prior = xp.asarray(np.diag(1.0 / np.maximum(model.eigenvalues[: model.n_component] - 1.0, 1e-3)))
    for start in range(0, len(spectra), ROWS):
        part = slice(start, start + ROWS)
        seen = (marks[part] & xp.asarray(model.used)).astype(xp.float64)
        known = ((spectra[part] - mean) * seen) @ forward
        gram = xp.einsum("pb,bi,bj->pij", seen, basis, basis, optimize=True)
        z = xp.linalg.solve(gram + prior, known[..., None])[..., 0]
        filled = known + z - (gram @ z[..., None])[..., 0]
        out[part] = xp.where(seen.any(1)[:, None], filled, xp.nan)
    return out


def back_project(scores: Any, model: SceneModel) -> Any:
    """Spectra (y, x, band) float32 of scores (y, x, component), of which there may be fewer than in the model."""
    xp = namespace(scores)
    backward = xp.asarray(model.backward[: scores.shape[-1]], xp.float32)
    flat = scores.reshape(-1, scores.shape[-1])
    spectra = flat @ backward
    spectra += xp.asarray(model.mean, xp.float32)
    return spectra.reshape(*scores.shape[:-1], -1)


def band_error(scene: SceneModel, risk: np.ndarray) -> np.ndarray:
    """Root mean square error of each band that errors of variance ``risk`` (component,) in the scores cause."""
    basis = scene.basis[:, : len(risk)]
    return scene.sigma * np.sqrt(basis**2 @ np.maximum(risk, 0.0))

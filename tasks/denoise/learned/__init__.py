"""Learned denoisers: an ONNX model of the user's own, run in overlapping windows along all three axes."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from tasks.array.namespace import namespace, to_host
from tasks.array.windows import blended
from tasks.denoise.moments import interpolated
from tasks.denoise.streaming import mend_cube
from tasks.denoise.surface import FILL_RADII, filled

PROBE = 0.1
"""Size of the probe that measures how strongly a model reacts to its input [sigma]."""


@dataclass(frozen=True)
class Learned:
    """Run ``model`` (path of an ONNX file) on windows and blend them.

    The model maps float32 (1, band, y, x) or (1, 1, band, y, x) to the same shape, with free or fixed sizes. ``reach``:
    receptive field on each side, (y, x, band); context of that size is computed around every window, so that no seam
    remains. ``window``: size of a window where the model leaves it free. ``scale``: the cube is divided by it first.
    ``robust``: mend outliers and stripes first. ``threads``: of the model, 0 for as many as there are cores.

    Raises
    ------
    ValueError
        If the file is no model, or its input has another number of axes, or is too small for the reach.
    """

    model: str
    reach: tuple[int, int, int] = (16, 16, 0)
    window: tuple[int, int, int] = (256, 256, 31)
    scale: float = 1.0
    robust: bool = False
    threads: int = 0

    stabilises: ClassVar[bool] = False
    linear: ClassVar[bool] = False

    def denoise(self, cube: Any, valid: Any) -> Any:
        """A checked cube in memory, denoised."""
        if self.robust:
            cube, valid = mend_cube(cube, valid)
        return self.apply(cube, valid)

    def apply(self, cube: Any, valid: Any) -> Any:
        """The model's answer (y, x, band) float32 to a cube; samples that are not valid are first filled from others."""
        sizes = self.sizes(cube.shape)
        overlap = tuple(min(2 * r + max(1, n // 8), n - 1) for r, n in zip(self.reach, sizes, strict=True))
        given = cube if valid is None else without_holes(cube, valid)
        return namespace(cube).asarray(blended(self._run, to_host(given), sizes, overlap, self.reach))

    def sizes(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Samples of a window along y, x and band, for a cube of ``shape``."""
        fixed = self.fixed
        sizes = tuple(
            n or min(max(w, 4 * r + 2), size)
            for n, w, r, size in zip(fixed, self.window, self.reach, shape, strict=True)
        )
        for n, size, name in zip(sizes, shape, ("y", "x", "band"), strict=True):
            if n > size:
                raise ValueError(
                    f"the model takes {n} samples along {name}, but the cube has {size}; "
                    "use a larger cube or export the model with free sizes"
                )
        return sizes

    def halo(self, gaps: bool) -> tuple[int, int]:
        """Pixels along y and x around a core: the reach, what fills holes, and never fewer than a window has."""
        fill = FILL_RADII[-1] if gaps else 0
        return tuple(max(r + fill, n) for r, n in zip(self.reach[:2], self.fixed[:2], strict=True))  # type: ignore[return-value]

    @property
    def fixed(self) -> tuple[int, ...]:
        """Sizes along y, x and band that the model insists on; 0 where it leaves them free."""
        shape = self._input.shape
        if len(shape) not in (4, 5):
            raise ValueError(
                f"the model's input has shape {shape}, expected (1, band, y, x) or (1, 1, band, y, x); export it so"
            )
        band, y, x = (n if isinstance(n, int) and n > 0 else 0 for n in shape[-3:])
        return y, x, band

    @property
    def _input(self) -> Any:
        return self._session().get_inputs()[0]

    def _session(self) -> Any:
        path = Path(self.model)
        if not path.is_file():
            raise ValueError(f"there is no file {path}, expected a model in ONNX format; check the path")
        return _session(self.model, self.threads, path.stat().st_mtime_ns)

    def _run(self, part: Any) -> Any:
        """The model on one window (y, x, band)."""
        given = self._input
        stack = np.ascontiguousarray(to_host(part).transpose(2, 0, 1) / np.float32(self.scale))
        shaped = stack.reshape((1,) * (len(given.shape) - 3) + stack.shape)
        out = np.asarray(self._session().run(None, {given.name: shaped})[0])
        if out.size != stack.size:
            raise ValueError(
                f"the model makes {out.shape} of {shaped.shape}, expected the same shape; export a model that keeps it"
            )
        return out.reshape(stack.shape).transpose(1, 2, 0) * np.float32(self.scale)


@lru_cache(maxsize=2)
def _session(model: str, threads: int, _changed: int) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise ValueError(
            "onnxruntime is not installed, and the method onnx needs it: pip install 'nightloom[onnx]'"
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    try:
        return onnxruntime.InferenceSession(model, options, providers=onnxruntime.get_available_providers())
    except Exception as error:
        said = str(error).splitlines()[0]
        raise ValueError(f"{model} is no model that ONNX Runtime can load ({said}); export it again") from error


def without_holes(cube: Any, valid: Any) -> Any:
    """The cube with samples that are not valid drawn from the pixel's other bands, or from its surroundings."""
    any_band = valid.any(-1)
    broken = any_band & ~valid.all(-1)
    out = cube.copy()
    out[broken] = interpolated(cube[broken], valid[broken])
    return out if bool(any_band.all()) else filled(out, any_band)


def expected_error(method: Learned, cube: Any, valid: Any, sigma: np.ndarray) -> np.ndarray:
    """Root mean square error (band,) to expect of the model on this piece of a scene, whose noise is ``sigma`` (band,).

    Stein's estimate with the divergence measured by one random probe, which holds for any model under Gaussian noise.

    References
    ----------
    Ramani, Blu & Unser, IEEE Trans. Image Process. 17(9):1540-1554, 2008.
    """
    marks = np.ones(cube.shape, bool) if valid is None else valid
    noise = sigma.astype(np.float32)
    probe = np.random.default_rng(0).choice(np.array([-1, 1], np.float32), cube.shape)
    first, second = (to_host(method.apply(given, valid)) for given in (cube, cube + PROBE * noise * probe))
    count = np.maximum(marks.sum((0, 1)), 1)
    away = np.where(marks, first - cube, 0).astype(float)
    reaction = np.where(marks, probe * (second - first), 0).astype(float).sum((0, 1)) / (
        PROBE * np.maximum(sigma, 1e-300)
    )
    risk = (away**2).sum((0, 1)) / count - sigma**2 + 2 * sigma**2 * reaction / count
    return np.sqrt(np.maximum(risk, 0.0))

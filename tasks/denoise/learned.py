"""Learned denoisers: an ONNX model of the user's own, run in overlapping windows along all three axes."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tasks.array.namespace import namespace, to_host
from tasks.array.windows import blended


@dataclass(frozen=True)
class Learned:
    """Run ``model`` (path of an ONNX file) on windows and blend them.

    The model maps float32 (1, band, y, x) or (1, 1, band, y, x) to the same shape, with free or fixed sizes. ``reach``:
    receptive field on each side, (y, x, band); context of that size is computed around every window, so that no seam
    remains. ``window``: size of a window where the model leaves it free. ``scale``: the cube is divided by it first.

    Raises
    ------
    ValueError
        If the model's input has another number of axes, or is too small for the reach.
    """

    model: str
    reach: tuple[int, int, int] = (16, 16, 0)
    window: tuple[int, int, int] = (256, 256, 31)
    scale: float = 1.0

    def denoise(self, cube: Any, valid: Any) -> Any:
        """A checked cube in memory, denoised."""
        import onnxruntime

        session = onnxruntime.InferenceSession(self.model, providers=onnxruntime.get_available_providers())
        (given, *_) = session.get_inputs()
        if len(given.shape) not in (4, 5):
            raise ValueError(
                f"the model's input has shape {given.shape}, expected (1, band, y, x) or (1, 1, band, y, x); export it so"
            )
        band, y, x = given.shape[-3:]
        fixed = (y, x, band)
        sizes = tuple(
            n if isinstance(n, int) and n > 0 else min(max(w, 4 * r + 2), size)
            for n, w, r, size in zip(fixed, self.window, self.reach, cube.shape, strict=True)
        )
        for n, size, name in zip(sizes, cube.shape, ("y", "x", "band"), strict=True):
            if n > size:
                raise ValueError(
                    f"the model takes {n} samples along {name}, but the cube has {size}; "
                    "use a larger cube or export the model with free sizes"
                )
        overlap = tuple(min(2 * r + max(1, n // 8), n - 1) for r, n in zip(self.reach, sizes, strict=True))

        def apply(part: Any) -> Any:
            stack = np.ascontiguousarray(to_host(part).transpose(2, 0, 1) / np.float32(self.scale))
            (out,) = session.run(None, {given.name: stack.reshape((1,) * (len(given.shape) - 3) + stack.shape)})[:1]
            return np.asarray(out).reshape(stack.shape).transpose(1, 2, 0) * np.float32(self.scale)

        return namespace(cube).asarray(blended(apply, to_host(cube), sizes, overlap, self.reach))

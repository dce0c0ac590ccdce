"""Denoising pairs: patches of a raw cube beside the same patches of the cube that denoising made of it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tasks.dataset.embed import embed_patches
from tasks.dataset.samples import Constant, Field, Readable, Samples, Source
from tasks.dataset.sobol import continued_draws
from tasks.dataset.windows import window_origins

GOOD_SHARE = 0.9
"""Share of a pixel's usable bands that must be valid for the pixel to count: a single dead band must not rule all out."""

WASTE = 3
"""A block is read in one piece as long as it holds at most this many times the pixels of its patches."""


@dataclass(frozen=True)
class DenoisePatches:
    """Patches of hyperspectral cubes, each as measured and as denoising restored it.

    Patches of ``patch`` pixels every ``stride`` pixels, with at least ``min_valid`` of their pixels valid.

    With ``noise`` "simulated" the noisy patch is the clean one with Gaussian noise of ``noise_low`` to ``noise_high`` times
    the cube's own, in each band; the factors continue a Sobol sequence at the index ``drawn`` of the source's attributes.

    Sources offer the arrays ``noisy`` and ``clean`` (y, x, band), and may offer ``valid`` (y, x, band), ``sigma``,
    ``wavelength`` and ``bad_bands`` (band).
    """

    patch: int = 32
    stride: int = 32
    min_valid: float = 0.9
    noise: str = "measured"
    noise_low: float = 0.5
    noise_high: float = 4.0
    seed: int = 0
    name: str = "denoise"
    main: str = "noisy"
    channels: bool = True
    facts: tuple[str, ...] = ("valid_fraction", "removed_rms", "noise_factor", "simulated")
    place: tuple[str, ...] = ("y0", "x0")

    def schema(self, source: Source) -> dict[str, Field]:
        """Noisy and clean patch, its mask, the noise of its bands."""
        n_band = source.arrays["noisy"].shape[2]
        units = source.arrays["noisy"].attrs.get("units", "1")
        cube = ("y", "x", "band"), (self.patch, self.patch, n_band), "float32"
        return {
            "noisy": Field(*cube, {"units": units, "long_name": "measured values"}),
            "clean": Field(*cube, {"units": units, "long_name": "denoised values, the target"}),
            "valid": Field(
                ("y", "x"), (self.patch, self.patch), "uint8", {"long_name": "1 where the pixel can be trusted"}
            ),
            "sigma": Field(("band",), (n_band,), "float32", {"units": units, "long_name": "noise, standard deviation"}),
        }

    def constants(self, source: Source) -> dict[str, Constant]:
        """The wavelengths."""
        if "wavelength" not in source.arrays:
            return {}
        attrs = {"units": "nm", "long_name": "wavelength"}
        return {"wavelength": Constant(("band",), _values(source.arrays["wavelength"]).astype(np.float32), attrs)}

    def positions(self, source: Source) -> np.ndarray:
        """Upper left corners (y, x) of the patches."""
        n_y, n_x, _ = source.arrays["noisy"].shape
        return window_origins((n_y, n_x), self.patch, self.stride)

    def load(self, source: Source, positions: np.ndarray) -> Samples:
        """Read patches; a value that cannot be trusted is given the denoised one, so that none is NaN."""
        noisy, clean = (self._read(source.arrays[name], positions).astype(np.float32) for name in ("noisy", "clean"))
        trusted = (
            self._read(source.arrays["valid"], positions).astype(bool)
            if "valid" in source.arrays
            else np.isfinite(noisy)
        )
        noisy = np.where(trusted | np.isfinite(noisy), noisy, clean)
        valid = trusted[..., _good_bands(source, noisy.shape[-1])].mean(axis=-1) >= GOOD_SHARE
        arrays = {"noisy": noisy, "clean": clean, "valid": valid.astype(np.uint8), "sigma": _sigma(source, noisy)}
        factor = np.ones(len(positions))
        if self.noise == "simulated":
            factor = self._add_noise(source, positions, arrays)
            noisy = arrays["noisy"]
        share = valid.mean(axis=(1, 2))
        error = np.sqrt(((noisy - clean) ** 2).mean(axis=(1, 2, 3)))
        simulated = self.noise == "simulated" or bool(source.attrs.get("simulated"))
        facts = {"valid_fraction": share, "removed_rms": error, "noise_factor": factor}
        facts["simulated"] = np.full(len(positions), float(simulated))
        return Samples(arrays, facts, ["patch"] * len(positions), share >= self.min_valid)

    def embed(self, samples: Samples) -> np.ndarray:
        """The texture of the clean patches: noise would hide what is the same."""
        return embed_patches(np.nan_to_num(samples.arrays["clean"]))

    def picture(self, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        """The middle band, noisy beside clean."""
        band = arrays["noisy"].shape[-1] // 2
        return np.concatenate([arrays["noisy"][..., band], arrays["clean"][..., band]], axis=2)

    def groups(self, source: Source, positions: np.ndarray, samples: Samples) -> list[str]:
        """The scene: its patches share light, sensor and neighbours."""
        return [source.group] * len(positions)

    def _add_noise(self, source: Source, positions: np.ndarray, arrays: dict[str, np.ndarray]) -> np.ndarray:
        """Replace the measured noise by simulated noise; return its level in units of the cube's own."""
        across = (source.arrays["noisy"].shape[1] - self.patch) // self.stride + 1
        numbers = (
            source.attrs.get("drawn", 0) + positions[:, 0] // self.stride * across + positions[:, 1] // self.stride
        )
        first = int(numbers.min())
        ranges = {"factor": (self.noise_low, self.noise_high)}
        drawn = continued_draws(first, int(numbers.max()) - first + 1, ranges, self.seed)["factor"]
        factor = drawn[numbers - first]
        arrays["sigma"] = arrays["sigma"] * factor[:, None].astype(np.float32)
        for i, number in enumerate(numbers.tolist()):
            draw = np.random.default_rng([self.seed, number]).standard_normal(
                arrays["clean"].shape[1:], dtype=np.float32
            )
            arrays["noisy"][i] = arrays["clean"][i] + draw * arrays["sigma"][i]
        return factor

    def _read(self, array: Readable, positions: np.ndarray) -> np.ndarray:
        """Patches of an array (y, x, band), through one block if the patches fill most of it."""
        low, high = positions.min(axis=0), positions.max(axis=0) + self.patch
        bands = slice(0, array.shape[2])
        if np.prod(high - low) > WASTE * len(positions) * self.patch**2:
            regions = [(slice(y, y + self.patch), slice(x, x + self.patch), bands) for y, x in positions.tolist()]
            return np.stack([array.read(region) for region in regions])
        block = array.read((*(slice(int(a), int(b)) for a, b in zip(low, high, strict=True)), bands))
        return np.stack([block[y : y + self.patch, x : x + self.patch] for y, x in positions - low])


def _good_bands(source: Source, n_band: int) -> np.ndarray:
    if "bad_bands" not in source.arrays:
        return np.ones(n_band, bool)
    good = ~_values(source.arrays["bad_bands"]).astype(bool)
    return good if good.any() else np.ones(n_band, bool)


def _sigma(source: Source, noisy: np.ndarray) -> np.ndarray:
    n, n_band = len(noisy), noisy.shape[-1]
    if "sigma" not in source.arrays:
        return np.zeros((n, n_band), np.float32)
    return np.broadcast_to(np.nan_to_num(_values(source.arrays["sigma"])).astype(np.float32), (n, n_band)).copy()


def _values(array: Readable) -> np.ndarray:
    return np.asarray(array.read())

"""Transient cutouts: image, dynamic spectrum and DM-time plane of each candidate, its label and, if injected, the truth."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tasks.dataset.embed import embed_images
from tasks.dataset.samples import Constant, Field, Readable, Samples, Source

CHANNELS = 16
"""Channels of a sample's spectrum: observations have many different numbers of them."""

UNKNOWN = float("nan")


@dataclass(frozen=True)
class Cutouts:
    """Candidates of the transient search, each with the sky and the spectrum around it.

    Sources offer the arrays ``image`` (candidate, y, x), ``spectrum`` (candidate, channel, bin) and ``dm_time``
    (candidate, dm_trial, bin), in S/N with NaN where nothing was observed, and ``rows`` of facts in their attributes.
    """

    name: str = "cutouts"
    main: str = "image"
    channels: bool = False
    facts: tuple[str, ...] = (
        "snr", "dm", "width_s", "time_s", "mjd", "ra_deg", "dec_deg", "y", "x", "edge",
        "injected_number", "injected_dm", "injected_width_s", "injected_snr", "injected_y", "injected_x", "simulated",
        "without_curve",
    )  # fmt: skip
    place: tuple[str, ...] = ("candidate",)
    classes: tuple[str, ...] = ("unvetted", "astro", "injection", "rejected")
    group_meaning: str = (
        "a known source; else the night and the square degree, or the part of the image without a place on the sky"
    )
    gaps: tuple[str, ...] = (
        "Candidates that nobody has looked at are labelled unvetted: interference and noise are among them.",
    )

    @property
    def limits(self) -> dict[str, float]:
        """Gates: no injected pulse without the curve that says how many of its like are found."""
        return {"without_curve": 0}

    def schema(self, source: Source) -> dict[str, Field]:
        """Image, spectrum in 16 channels, S/N over DM and time, class number."""
        image, dm_time = source.arrays["image"].shape, source.arrays["dm_time"].shape
        snr = {"units": "1"}
        return {
            "image": Field(
                ("y", "x"), image[1:], "float32", {**snr, "long_name": "S/N in the pixels around the pulse"}
            ),
            "dynspec": Field(
                ("channel", "bin"), (CHANNELS, dm_time[2]), "float32", {**snr, "long_name": "dedispersed S/N"}
            ),
            "dm_time": Field(
                ("dm_trial", "bin"), dm_time[1:], "float32", {**snr, "long_name": "S/N per DM trial and time bin"}
            ),
            "label": Field((), (), "uint8", {"long_name": "class", "flag_meanings": " ".join(self.classes)}),
        }

    def constants(self, source: Source) -> dict[str, Constant]:
        """None: every observation has its own frequencies."""
        return {}

    def positions(self, source: Source) -> np.ndarray:
        """Candidate numbers, from zero."""
        return np.arange(source.arrays["image"].shape[0], dtype=np.int64)[:, None]

    def load(self, source: Source, positions: np.ndarray) -> Samples:
        """Read cutouts; what was not observed is zero, the expected S/N of nothing."""
        numbers = positions[:, 0]
        image, spectrum, dm_time = (_rows(source.arrays[name], numbers) for name in ("image", "spectrum", "dm_time"))
        rows = [source.attrs["rows"].get(int(n), {}) for n in numbers]
        labels = [_label(row) for row in rows]
        arrays = {
            "image": np.nan_to_num(image),
            "dynspec": rebinned(spectrum, CHANNELS),
            "dm_time": np.nan_to_num(dm_time),
            "label": np.array([self.classes.index(label) for label in labels], np.uint8),
        }
        facts = {name: np.array([_number(row.get(name)) for row in rows]) for name in self.facts}
        facts["simulated"] = np.array([bool(row.get("simulated")) for row in rows], float)
        curve = bool(source.attrs.get("completeness"))
        facts["without_curve"] = np.array([label == "injection" and not curve for label in labels], float)
        facts["edge"] = np.isnan(image).any(axis=(1, 2)).astype(float)
        seen = np.asarray(np.isfinite(image).any(axis=(1, 2)))
        return Samples(arrays, facts, labels, seen)

    def embed(self, samples: Samples) -> np.ndarray:
        """The image: one source seen twice looks the same."""
        return embed_images(samples.arrays["image"])

    def picture(self, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        """The image."""
        return arrays["image"]

    def groups(self, source: Source, positions: np.ndarray, samples: Samples) -> list[str]:
        """One known source is one group, wherever and whenever it was seen."""
        rows = (source.attrs["rows"].get(int(n), {}) for n in positions[:, 0])
        return [_group(source, row) for row in rows]


def rebinned(spectrum: np.ndarray, n: int) -> np.ndarray:
    """S/N (record, channel, bin) in ``n`` channels: valid ones add, and their noise grows with the root of their number.

    Where there are fewer channels than ``n``, each is given to those that lie within it.
    """
    valid = np.isfinite(spectrum)
    values = np.where(valid, spectrum, 0)
    edges = np.linspace(0, spectrum.shape[1], n + 1)
    parts = []
    for low, high in zip(np.floor(edges[:-1]).astype(int), np.ceil(edges[1:]).astype(int), strict=True):
        count = valid[:, low:high].sum(axis=1)
        parts.append(values[:, low:high].sum(axis=1) / np.sqrt(np.maximum(count, 1)))
    return np.stack(parts, axis=1).astype(np.float32)


def _rows(array: Readable, numbers: np.ndarray) -> np.ndarray:
    low, high = int(numbers.min()), int(numbers.max()) + 1
    whole = array.read((slice(low, high), *(slice(0, n) for n in array.shape[1:])))
    return whole[numbers - low].astype(np.float32)


def _label(row: Mapping[str, object]) -> str:
    if row.get("injection"):
        return "injection"
    if row.get("verdict"):
        return "astro" if row["verdict"] == "accept" else "rejected"
    return "astro" if row.get("known_source") else "unvetted"


def _group(source: Source, row: Mapping[str, object]) -> str:
    if row.get("known_source"):
        return f"source:{row['known_source']}"
    mjd, ra, dec = (_number(row.get(name)) for name in ("mjd", "ra_deg", "dec_deg"))
    night = f"{mjd:.0f}" if np.isfinite(mjd) else source.group
    if np.isfinite(ra) and np.isfinite(dec):
        return f"night:{night}/sky:{np.floor(ra * np.cos(np.radians(dec))):.0f},{np.floor(dec):.0f}"
    y, x = (_number(row.get(name)) for name in ("y", "x"))
    return f"night:{night}/image:{y // 64:.0f},{x // 64:.0f}"


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else UNKNOWN

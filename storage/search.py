"""What the transient search leaves behind: candidates, exposures and injections in the database; flags and cutouts."""

from dataclasses import replace
from typing import Any

import numpy as np
from sqlalchemy import Double, Index, String, Text, func, select
from sqlalchemy.orm import Mapped, mapped_column

from storage.database import Base, session
from storage.layout import Coordinate, Layout, variable
from storage.listing import Listing


class Candidate(Base):
    """One pulse found in one observation."""

    __tablename__ = "candidate"
    __table_args__ = (Index("ix_candidate_snr", "snr"), Index("ix_candidate_product", "product_id"))

    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    run_id: Mapped[str] = mapped_column(String(16), index=True)
    product_id: Mapped[str] = mapped_column(String(16))
    number: Mapped[int]
    snr: Mapped[float] = mapped_column(Double)
    trial_snr: Mapped[float] = mapped_column(Double)
    false_alarm_probability: Mapped[float] = mapped_column(Double, index=True)
    time_s: Mapped[float] = mapped_column(Double, index=True)
    mjd: Mapped[float | None] = mapped_column(Double, index=True)
    ref_freq_mhz: Mapped[float] = mapped_column(Double)
    dm: Mapped[float] = mapped_column(Double, index=True)
    width_s: Mapped[float] = mapped_column(Double, index=True)
    y: Mapped[float] = mapped_column(Double)
    x: Mapped[float] = mapped_column(Double)
    ra_deg: Mapped[float | None] = mapped_column(Double, index=True)
    dec_deg: Mapped[float | None] = mapped_column(Double, index=True)
    members: Mapped[int]
    known_source: Mapped[str | None] = mapped_column(String(128), index=True)
    separation_arcsec: Mapped[float | None] = mapped_column(Double)
    simulated: Mapped[bool]
    cutouts: Mapped[str | None] = mapped_column(Text)


class Exposure(Base):
    """How much sky was watched for how long, and down to what: what a rate limit is made of."""

    __tablename__ = "exposure"

    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    run_id: Mapped[str] = mapped_column(String(16), index=True)
    product_id: Mapped[str] = mapped_column(String(16), index=True)
    seconds: Mapped[float] = mapped_column(Double)
    n_pixel: Mapped[int]
    area_deg2: Mapped[float | None] = mapped_column(Double)
    ra_deg: Mapped[float | None] = mapped_column(Double)
    dec_deg: Mapped[float | None] = mapped_column(Double)
    mjd: Mapped[float | None] = mapped_column(Double)
    threshold: Mapped[float] = mapped_column(Double)
    dm_max: Mapped[float] = mapped_column(Double)
    width_max_s: Mapped[float] = mapped_column(Double)
    dt_s: Mapped[float] = mapped_column(Double)
    noise: Mapped[float] = mapped_column(Double)
    units: Mapped[str] = mapped_column(String(32))
    n_channel: Mapped[int]
    flagged_fraction: Mapped[float] = mapped_column(Double)
    n_candidate: Mapped[int]
    simulated: Mapped[bool]


class Injection(Base):
    """One simulated pulse added to real data, and what the search made of it."""

    __tablename__ = "injection"

    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    run_id: Mapped[str] = mapped_column(String(16), index=True)
    product_id: Mapped[str] = mapped_column(String(16), index=True)
    number: Mapped[int]
    time_s: Mapped[float] = mapped_column(Double)
    y: Mapped[float] = mapped_column(Double)
    x: Mapped[float] = mapped_column(Double)
    dm: Mapped[float] = mapped_column(Double)
    width_s: Mapped[float] = mapped_column(Double)
    scattering_s: Mapped[float] = mapped_column(Double)
    spectral_index: Mapped[float] = mapped_column(Double)
    fluence: Mapped[float] = mapped_column(Double)
    ideal_snr: Mapped[float] = mapped_column(Double)
    found: Mapped[bool]
    snr: Mapped[float | None] = mapped_column(Double)
    candidate_id: Mapped[str | None] = mapped_column(String(16), index=True)
    seed: Mapped[int | None]
    sobol_index: Mapped[int | None]


def next_sobol_index(seed: int) -> int:
    """The first point of the Sobol sequence of ``seed`` behind every pulse drawn so far."""
    with session() as s:
        last = s.scalar(select(func.max(Injection.sobol_index)).where(Injection.seed == seed))
    return 0 if last is None else last + 1


def baseline(shape: tuple[int, int, int, int], n_stretch: int, edge: int) -> Layout:
    """Scratch: the mean level of every pixel and channel in each stretch."""
    whole = (n_stretch, *shape[1:])
    described = variable(("stretch", "channel", "y", "x"), whole, "float32", (1, shape[1], edge, edge), codec="lz4")
    return Layout("baseline", {"level": described})


def sums(n_tile: int, n_time: int, n_channel: int) -> Layout:
    """Scratch: what one pass adds up over the pixels of each tile."""
    described = variable(
        ("tile", "kind", "time", "channel"),
        (n_tile, 6, n_time, n_channel),
        "float64",
        (1, 6, n_time, n_channel),
        codec="lz4",
    )
    return Layout("sums", {"sums": described})


def injected(shape: tuple[int, int, int, int], edge: int) -> Layout:
    """Scratch: a cube with simulated pulses added, and its mask."""
    cell = (min(shape[0], 512), shape[1], edge, edge)
    dims = ("time", "channel", "y", "x")
    cube = variable(dims, shape, "float32", cell, codec="lz4")
    return Layout("injected", {"cube": cube, "valid": replace(cube, dtype="bool", fill_value=False)})


def flags(n_time: int, n_channel: int, stretch: int, coords: dict[str, Coordinate]) -> Layout:
    """What was excised, and the noise and gain of everything else; written ``stretch`` samples at a time."""
    dims, shape, cell = ("time", "channel"), (n_time, n_channel), (stretch, n_channel)
    excised, weight = (
        "whether the image was excised as interference",
        "1 / noise^2 of a sample of the image; 0 where unused",
    )
    arrays = {
        "flags": variable(dims, shape, "bool", cell, long_name=excised),
        "weight": variable(dims, shape, "float64", cell, long_name=weight),
        "gain": variable(dims[:1], shape[:1], "float64", cell[:1], units="1", long_name="gain relative to its mean"),
    }
    return Layout("flags", arrays, coords, {"Conventions": "CF-1.11"})


def cutouts(n: int, n_channel: int, edge: int, n_time: int, n_dm: int, coords: dict[str, Coordinate]) -> Layout:
    """For each candidate its S/N image, its dedispersed dynamic spectrum and its S/N over DM and time."""
    arrays = {
        "image": variable(
            ("candidate", "y", "x"),
            (n, edge, edge),
            "float32",
            (1, edge, edge),
            long_name="S/N of the matched pulse in the pixels around it",
            units="1",
        ),
        "spectrum": variable(
            ("candidate", "channel", "bin"),
            (n, n_channel, n_time),
            "float32",
            (1, n_channel, n_time),
            long_name="dedispersed S/N per channel and time bin",
            units="1",
        ),
        "dm_time": variable(
            ("candidate", "dm_trial", "bin"),
            (n, n_dm, n_time),
            "float32",
            (1, n_dm, n_time),
            long_name="S/N per DM trial and time bin",
            units="1",
        ),
    }
    return Layout("cutouts", arrays, coords, {"Conventions": "CF-1.11"})


def coordinate(dims: tuple[str, ...], values: Any, units: str, long_name: str) -> Coordinate:
    """A coordinate with its meaning."""
    return Coordinate(dims, np.asarray(values), {"units": units, "long_name": long_name})


LISTINGS = {
    "candidates": Listing(
        row=Candidate,
        columns=(
            "id",
            "snr",
            "dm",
            "width_s",
            "time_s",
            "mjd",
            "y",
            "x",
            "ra_deg",
            "dec_deg",
            "false_alarm_probability",
            "known_source",
            "simulated",
            "run_id",
        ),
        order="snr",
    ),
    "injections": Listing(
        row=Injection,
        columns=("id", "ideal_snr", "found", "snr", "dm", "width_s", "time_s", "y", "x", "fluence", "run_id"),
        order="ideal_snr",
    ),
    "exposures": Listing(
        row=Exposure,
        columns=(
            "id",
            "seconds",
            "area_deg2",
            "threshold",
            "dm_max",
            "width_max_s",
            "n_candidate",
            "simulated",
            "run_id",
        ),
        order="seconds",
    ),
}

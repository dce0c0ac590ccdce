"""SIGPROC filterbank: a header of length-prefixed words, then samples of (time, polarisation, channel).

The format's own programs define it; its Python libraries bring plotting or a GPU search along, so its dozen lines of
parsing stand here.
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from tasks.ingest.header import DIMS, Header, Unreadable
from tasks.ingest.raw import RawArray
from tasks.ingest.source import Sliceable, Source, Stored

_MARK = b"\x0c\x00\x00\x00HEADER_START"
_INTEGERS = (
    "telescope_id",
    "machine_id",
    "data_type",
    "barycentric",
    "pulsarcentric",
    "nbits",
    "nsamples",
    "nchans",
    "nifs",
    "nbeams",
    "ibeam",
)
_DOUBLES = ("az_start", "za_start", "src_raj", "src_dej", "tstart", "tsamp", "fch1", "foff", "refdm", "period")
_STRINGS = ("rawdatafile", "source_name")
_DTYPES = {8: "u1", 16: "<u2", 32: "<f4"}
_LONGEST_WORD = 1024
_MOST_WORDS = 100_000


@dataclass(frozen=True)
class PackedArray:
    """Samples of 1, 2 or 4 bits, lowest bits first, unpacked to bytes; axes (time, polarisation, channel)."""

    path: str
    bits: int
    shape: tuple[int, ...]
    offset: int

    @property
    def dtype(self) -> np.dtype:
        return np.dtype("u1")

    def __getitem__(self, region: Any) -> np.ndarray:
        per_byte = 8 // self.bits
        n_time, n_if, n_channel = self.shape
        raw = RawArray(self.path, np.dtype("u1"), (n_time, n_if * n_channel // per_byte), self.offset)
        packed = raw[region[0]]
        shifts = np.arange(per_byte, dtype=np.uint8) * self.bits
        values = (packed[..., None] >> shifts) & np.uint8((1 << self.bits) - 1)
        return values.reshape(-1, n_if, n_channel)[(slice(None), *region[1:])]


def accepts(path: Path) -> bool:
    """Whether ``path`` begins as a filterbank file does."""
    try:
        with path.open("rb") as file:
            return file.read(len(_MARK)) == _MARK
    except OSError:
        return False


def files(path: Path) -> list[Path]:
    """The file itself."""
    return [path]


def open(path: Path, variable: str | None = None) -> Source:
    """The samples at ``path``, one pixel wide; ``variable`` means nothing to this format."""
    with path.open("rb") as file:
        words = _words(file)
        begin = file.tell()
    array, notes = _array(path, words, begin)
    stored = Stored(array, ("time", 0, "channel"))
    header = Header(
        "filterbank",
        "radio_cube",
        stored.shape(DIMS["radio_cube"]),
        np.dtype(array.dtype),
        freqs=_frequencies(words),
        time=np.arange(array.shape[0]) * _positive(words, "tsamp"),
        attrs={k: v for k, v in words.items() if k != "fchannel"},
        notes=notes,
    )
    return Source(header, stored)


def _words(file: IO[bytes]) -> dict[str, Any]:
    """Keywords and values up to HEADER_END; channel frequencies may come as a list."""
    found: dict[str, Any] = {}
    _word(file)
    for _ in range(_MOST_WORDS):
        name = _word(file)
        if name == "HEADER_END":
            return found
        if name in _INTEGERS:
            found[name] = _number(file, "<i")
        elif name in _DOUBLES:
            found[name] = _number(file, "<d")
        elif name in _STRINGS:
            found[name] = _word(file)
        elif name == "signed":
            found[name] = _number(file, "<B")
        elif name == "fchannel":
            found.setdefault(name, []).append(_number(file, "<d"))
        elif name not in ("FREQUENCY_START", "FREQUENCY_END"):
            raise Unreadable(f"the header holds {name!r}, which is no keyword of the format; write the file again")
    raise Unreadable("the header does not end; write the file again")


def _word(file: IO[bytes]) -> str:
    length = _number(file, "<i")
    if not 0 <= length <= _LONGEST_WORD:
        raise Unreadable(f"the header has a word of {length} letters; write the file again")
    text = file.read(length)
    if len(text) < length:
        raise Unreadable("the file ends inside its header; copy it again")
    return text.decode("latin-1")


def _number(file: IO[bytes], kind: str) -> Any:
    raw = file.read(struct.calcsize(kind))
    if len(raw) < struct.calcsize(kind):
        raise Unreadable("the file ends inside its header; copy it again")
    return struct.unpack(kind, raw)[0]


def _array(path: Path, words: dict[str, Any], begin: int) -> tuple[Sliceable, tuple[str, ...]]:
    bits, n_channel, n_if = (int(words.get(k, d)) for k, d in (("nbits", 8), ("nchans", 0), ("nifs", 1)))
    if bits not in (1, 2, 4, 8, 16, 32):
        raise Unreadable(f"nbits is {bits}, expected 1, 2, 4, 8, 16 or 32; correct the header")
    if n_channel < 1 or n_if < 1 or n_channel * n_if * bits % 8:
        raise Unreadable(f"nchans is {n_channel} and nifs {n_if}, expected whole bytes of at least one channel")
    left, per_sample = path.stat().st_size - begin, n_channel * n_if * bits // 8
    n_time, rest = divmod(left, per_sample)
    if n_time < 1:
        raise Unreadable(f"{left} bytes follow the header, expected at least one sample of {per_sample}; copy it again")
    notes = [f"the last {rest} bytes are less than one sample and are left out"] if rest else []
    told = int(words.get("nsamples", 0))
    if told > n_time:
        raise Unreadable(f"the header promises {told} samples, the file holds {n_time}; it is truncated: copy it again")
    if n_if > 1:
        notes.append(f"the first of {n_if} polarisations is read")
    shape = (n_time, n_if, n_channel)
    if bits < 8:
        return PackedArray(str(path), bits, shape, begin), tuple(notes)
    dtype = np.dtype("i1" if bits == 8 and words.get("signed") else _DTYPES[bits])
    return RawArray(str(path), dtype, shape, begin), tuple(notes)


def _positive(words: dict[str, Any], name: str) -> float:
    value = words.get(name)
    if value is None or not value > 0 or not np.isfinite(value):
        raise Unreadable(f"{name} is {value}, expected a positive number; correct the header")
    return float(value)


def _frequencies(words: dict[str, Any]) -> np.ndarray:
    """Channel centres in the file's order: a negative width means that they descend."""
    n = int(words["nchans"])
    if "fchannel" in words:
        freqs = np.array(words["fchannel"])
    elif words.get("foff"):
        freqs = _positive(words, "fch1") + np.arange(n) * words["foff"]
    else:
        raise Unreadable("the channel width foff is missing or zero; correct the header")
    if not (np.isfinite(freqs).all() and (freqs > 0).all()):
        raise Unreadable(f"fch1 and foff give frequencies down to {freqs.min():g} MHz; correct the header")
    return freqs

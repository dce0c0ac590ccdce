"""Small files of every format, written independently of the readers under test."""

import numpy as np
import pytest

ENVI_TYPES = {"u1": 1, "i2": 2, "i4": 3, "f4": 4, "f8": 5, "c8": 6, "u2": 12, "u4": 13}
AXES = {"bsq": (2, 0, 1), "bil": (0, 2, 1), "bip": (0, 1, 2)}


@pytest.fixture
def cube():
    """A (y, x, band) cube of unequal edges whose values all differ."""
    return np.arange(5 * 4 * 3, dtype=np.float32).reshape(5, 4, 3) + 1


@pytest.fixture
def read_all():
    """Read a whole source in one region."""

    def read(source):
        return source.read(tuple(slice(0, n) for n in source.header.shape))

    return read


@pytest.fixture
def write_envi(tmp_path):
    """Write ``cube`` as ENVI text and bytes; extra header lines as keywords with _ for blanks."""

    def write(cube, name="scene", interleave="bsq", order="<", pad=0, ending=".img", header=None, **fields):
        kind = np.dtype(cube.dtype).str[1:]
        data = np.ascontiguousarray(cube.transpose(AXES.get(interleave, (2, 0, 1)))).astype(order + kind)
        path = tmp_path / (name + ending)
        path.write_bytes(b"\0" * pad + data.tobytes())
        y, x, band = cube.shape
        known = {
            "samples": x, "lines": y, "bands": band, "header offset": pad, "data type": ENVI_TYPES[kind],
            "interleave": interleave, "byte order": int(order == ">"),
        }  # fmt: skip
        known |= {k.replace("_", " "): v for k, v in fields.items()}
        text = "ENVI\n" + "".join(f"{k} = {v}\n" for k, v in known.items() if v is not None)
        (tmp_path / (header or name + ".hdr")).write_bytes(text.encode("latin-1"))
        return path

    return write

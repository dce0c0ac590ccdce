"""SIGPROC filterbank files of every depth, with channels in either direction."""

import struct

import numpy as np
import pytest

from tasks.ingest import Unreadable, open_source


def word(text):
    return struct.pack("<i", len(text)) + text.encode()


@pytest.fixture
def write_filterbank(tmp_path):
    def write(values, bits=8, extra=b"", tail=b"", **changes):
        numbers = {"nbits": bits, "nchans": values.shape[-1], "nifs": values.shape[1] if values.ndim == 3 else 1}
        reals = {"tsamp": 1e-3, "fch1": 1500.0, "foff": -1.0}
        head = word("HEADER_START") + word("source_name") + word("B0329+54")
        for name, value in (numbers | reals | changes).items():
            if value is not None:
                head += word(name) + struct.pack("<d" if name in reals else "<i", value)
        (tmp_path / "s.fil").write_bytes(head + extra + word("HEADER_END") + values.tobytes() + tail)
        return tmp_path / "s.fil"

    return write


@pytest.mark.parametrize(("bits", "dtype"), [(8, "u1"), (16, "<u2"), (32, "<f4")])
@pytest.mark.parametrize("step", [-1.0, 1.0])
def test_samples_and_frequencies(write_filterbank, bits, dtype, step, read_all):
    values = np.arange(20 * 8).reshape(20, 8).astype(dtype)
    source = open_source(write_filterbank(values, bits, foff=step))
    header, (read, valid) = source.header, read_all(source)
    assert (header.kind, header.shape, header.dtype) == ("radio_cube", (20, 8, 1, 1), np.dtype(dtype))
    assert np.allclose(header.freqs, 1500 + step * np.arange(8))
    assert np.allclose(header.time, 1e-3 * np.arange(20))
    assert np.array_equal(read[..., 0, 0], values)
    assert valid.all()
    assert header.attrs["source_name"] == "B0329+54"


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_packed_samples(write_filterbank, bits):
    values = np.random.default_rng(bits).integers(0, 1 << bits, (20, 16)).astype("u1")
    parts = values.reshape(20, -1, 8 // bits)
    packed = sum(parts[..., i] << (i * bits) for i in range(8 // bits)).astype("u1")
    source = open_source(write_filterbank(packed, bits, nchans=16))
    read, _ = source.read((slice(3, 9), slice(2, 7), slice(0, 1), slice(0, 1)))
    assert np.array_equal(read[..., 0, 0], values[3:9, 2:7])


def test_the_first_of_several_polarisations(write_filterbank, read_all):
    values = np.arange(5 * 2 * 4, dtype="u1").reshape(5, 2, 4)
    source = open_source(write_filterbank(values))
    assert np.array_equal(read_all(source)[0][..., 0, 0], values[:, 0])
    assert any("polarisations" in n for n in source.header.notes)


def test_a_list_of_frequencies(write_filterbank):
    listed = word("FREQUENCY_START")
    for f in (1400.0, 1410.0, 1425.0):
        listed += word("fchannel") + struct.pack("<d", f)
    path = write_filterbank(np.zeros((4, 3), "u1"), extra=listed + word("FREQUENCY_END"), fch1=None, foff=None)
    assert list(open_source(path).header.freqs) == [1400, 1410, 1425]


def test_half_a_sample_at_the_end_is_left_out(write_filterbank):
    header = open_source(write_filterbank(np.zeros((4, 8), "u1"), tail=b"abc")).header
    assert header.shape == (4, 8, 1, 1)
    assert any("last 3 bytes" in n for n in header.notes)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"bits": 12}, "nbits is 12"),
        ({"nchans": 0}, "nchans is 0"),
        ({"nchans": 1000}, "expected at least one sample"),
        ({"tsamp": 0.0}, "tsamp is 0.0"),
        ({"tsamp": None}, "tsamp is None"),
        ({"foff": 0.0}, "foff is missing or zero"),
        ({"foff": -300.0}, "frequencies down to -600"),
        ({"nsamples": 100}, "promises 100 samples"),
        ({"extra": word("colour")}, "'colour', which is no keyword"),
    ],
)
def test_a_wrong_header(write_filterbank, changes, says):
    with pytest.raises(Unreadable, match=says):
        open_source(write_filterbank(np.zeros((4, 8), "u1"), **changes))


def test_a_file_that_ends_inside_its_header(write_filterbank):
    path = write_filterbank(np.zeros((4, 8), "u1"))
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(Unreadable, match="ends inside its header"):
        open_source(path)

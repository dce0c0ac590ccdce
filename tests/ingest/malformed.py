"""Damaged files of all formats, made and read in a process of their own: a crash in a C library must not end pytest.

python malformed.py read FOLDER N SEED        each file is read or refused in one sentence
python malformed.py night FOLDER N SEED       the same number of files in one inbox, given to ingestion
"""

import os
import resource
import signal
import sys
import warnings
from pathlib import Path

import h5py
import numpy as np
import rasterio
import xarray as xr
from astropy.io import fits
from scipy.io import netcdf_file, savemat

sys.path.insert(0, str(Path(__file__).parents[2]))

from tasks.ingest import Unreadable, describe, open_source

warnings.simplefilter("ignore")
cube = np.random.default_rng(0).normal(10, 3, (9, 8, 7)).astype("f4")


def originals(folder):
    """One small readable file of every format."""
    np.save(folder / "a.npy", cube)
    np.savez(folder / "b.npz", cube=cube, wavelengths=np.arange(400, 407.0))
    np.savez_compressed(folder / "c.npz", q=cube[None].astype("i1"), freq_mhz=np.arange(1, 10.0), tsamp_s=1.0)
    savemat(folder / "d.mat", {"cube": cube}, do_compression=True)
    savemat(folder / "e.mat", {"cube": cube})
    with h5py.File(folder / "f.h5", "w") as file:
        file.create_dataset("cube", data=cube, chunks=(4, 4, 4), compression="gzip")
    xr.Dataset({"cube": (("y", "x", "band"), cube)}).to_netcdf(folder / "g.nc", engine="h5netcdf")
    with netcdf_file(folder / "h.nc", "w") as file:
        for name, n in zip("yxb", cube.shape):
            file.createDimension(name, n)
        file.createVariable("cube", "f4", tuple("yxb"))[:] = cube
    with rasterio.open(
        folder / "i.tif", "w", driver="GTiff", height=9, width=8, count=7, dtype="float32", compress="deflate"
    ) as image:
        image.write(cube.transpose(2, 0, 1))
    fits.writeto(folder / "j.fits", cube.transpose(2, 0, 1))
    head = b"ENVI\nsamples = 8\nlines = 9\nbands = 7\ndata type = 4\ninterleave = bip\nbyte order = 0\nwavelength = {1,2,3,4,5,6,8}\n"
    (folder / "k.img").write_bytes(cube.tobytes())
    (folder / "k.hdr").write_bytes(head)
    words = [b"HEADER_START", b"nchans", (7).to_bytes(4, "little"), b"nbits", (32).to_bytes(4, "little")]
    words += [
        b"tsamp",
        np.float64(0.1).tobytes(),
        b"fch1",
        np.float64(1400).tobytes(),
        b"foff",
        np.float64(-1).tobytes(),
        b"HEADER_END",
    ]
    named = b"".join(
        len(w).to_bytes(4, "little") + w if w.isascii() and w.replace(b"_", b"").isalnum() else w for w in words
    )
    (folder / "l.fil").write_bytes(named + cube.tobytes())
    return sorted(folder.iterdir())


def mutated(raw, random):
    """``raw`` with a few bytes changed, removed, added or cut off."""
    raw = bytearray(raw)
    for _ in range(int(random.integers(1, 9))):
        reach = len(raw) if random.random() < 0.4 else min(len(raw), 600)  # headers matter most
        at = int(random.integers(0, max(1, reach)))
        match int(random.integers(0, 5)):
            case 0:
                raw[at : at + 1] = bytes([int(random.integers(0, 256))])
            case 1:
                raw[at : at + 4] = random.bytes(4)
            case 2:
                del raw[at : at + int(random.integers(1, 200))]
            case 3:
                raw[at:at] = random.bytes(int(random.integers(1, 50)))
            case 4:
                raw[at : at + 4] = b"\xff\xff\xff\x7f"
    return bytes(raw[: int(len(raw) * random.random())] if random.random() < 0.2 else raw)


def read_or_refuse(path):
    """Read the file, or find it refused in one sentence."""
    try:
        source = open_source(path)
        values, valid = source.read(tuple(slice(0, min(n, 64)) for n in source.header.shape))
    except (Unreadable, OSError):  # anything else ends this process, and the test
        pass
    else:
        assert values.shape == valid.shape, path
        assert np.isfinite(values).all(), path
    found = describe(path)
    assert found["ok"] or (found["problem"] and "\n" not in found["problem"]), found


def late(*_):
    """What the clock does."""
    raise TimeoutError("more than 10 s")


def damaged(folder, n_files, seed):
    """Yield the path and the bytes of each damaged file; ENVI pairs have their other half beside them."""
    files, random = originals(folder), np.random.default_rng(seed)
    for path in files:
        assert describe(path)["ok"], describe(path)
    for i in range(n_files):
        path = files[i % len(files)]
        yield i, path, mutated(path.read_bytes(), random)


def read(folder, n_files, seed):
    """Damage one file at a time, in its place."""
    for _, path, raw in damaged(folder, n_files, seed):
        good = path.read_bytes()
        path.write_bytes(raw)
        signal.alarm(10)
        read_or_refuse(path)
        signal.alarm(0)
        path.write_bytes(good)


def peak_mb():
    # Not ru_maxrss: that one remembers the size of the process that started this one.
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) >> 10


def night(folder, n_files, seed):
    """All damaged files in one inbox, and a good one: as `nightly` goes through them, without its server."""
    inbox, made = folder / "inbox", folder / "made"
    inbox.mkdir()
    made.mkdir()
    os.environ |= {"NIGHTLOOM_HOME": str(folder / "home"), "PREFECT_LOGGING_LEVEL": "CRITICAL"}
    for i, path, raw in damaged(made, n_files, seed):
        name = f"{i:03d} ü\n{path.name}"
        (inbox / name).write_bytes(raw)
        if path.suffix == ".img":
            (inbox / name).with_suffix(".hdr").write_bytes(path.with_suffix(".hdr").read_bytes())
        os.utime(inbox / name, (0, 0))
    np.save(inbox / "good.npy", cube)
    from contextlib import nullcontext

    import flows.ingest
    from flows._catalogue import load
    from flows._inbox import Inbox
    from tasks.ingest import steps

    flows.ingest.cluster, steps.copy_cube = nullcontext, steps.copy_cube.fn
    look, done, refused = Inbox(inbox), [], []
    for path, _ in look.files([load("ingest")]):
        try:
            done.append(flows.ingest.ingest.fn(flows.ingest.IngestParams(source=str(path))))
        except Exception as error:  # noqa: BLE001
            refused.append(str(error))
    told = refused + [r["reason"] for r in look.refused]
    assert all(len(t) > 20 and "\n" not in t for t in told), [t for t in told if "\n" in t]
    assert done
    print("ingested", len(done), "refused", len(told))


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
    signal.signal(signal.SIGALRM, late)
    how, folder, n_files, seed = sys.argv[1:]
    {"read": read, "night": night}[how](Path(folder), int(n_files), int(seed))
    print("all", n_files, "peak MB", peak_mb())

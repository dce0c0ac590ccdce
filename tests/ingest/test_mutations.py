"""Two hundred damaged files of all formats: each is read or refused in one sentence; none crashes, hangs or eats memory.

It runs in a process of its own, with a limit on memory and a clock: a crash inside a format's C library would end pytest.
"""

import subprocess
import sys
from pathlib import Path

N_FILES = 200

SCRIPT = """
import resource, signal, sys, warnings
from pathlib import Path
import h5py, numpy as np, rasterio, xarray as xr
from astropy.io import fits
from scipy.io import netcdf_file, savemat
from tasks.ingest import Unreadable, describe, open_source

warnings.simplefilter("ignore")
folder, n_files = Path(sys.argv[1]), int(sys.argv[2])
cube = np.random.default_rng(0).normal(10, 3, (9, 8, 7)).astype("f4")


def originals():
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
    with rasterio.open(folder / "i.tif", "w", driver="GTiff", height=9, width=8, count=7, dtype="float32", compress="deflate") as image:
        image.write(cube.transpose(2, 0, 1))
    fits.writeto(folder / "j.fits", cube.transpose(2, 0, 1))
    head = b"ENVI\\nsamples = 8\\nlines = 9\\nbands = 7\\ndata type = 4\\ninterleave = bip\\nbyte order = 0\\nwavelength = {1,2,3,4,5,6,8}\\n"
    (folder / "k.img").write_bytes(cube.tobytes())
    (folder / "k.hdr").write_bytes(head)
    words = [b"HEADER_START", b"nchans", (7).to_bytes(4, "little"), b"nbits", (32).to_bytes(4, "little")]
    words += [b"tsamp", np.float64(0.1).tobytes(), b"fch1", np.float64(1400).tobytes(), b"foff", np.float64(-1).tobytes(), b"HEADER_END"]
    named = b"".join(len(w).to_bytes(4, "little") + w if w.isascii() and w.replace(b"_", b"").isalnum() else w for w in words)
    (folder / "l.fil").write_bytes(named + cube.tobytes())
    return sorted(folder.iterdir())


def mutated(raw, random):
    raw = bytearray(raw)
    for _ in range(int(random.integers(1, 9))):
        reach = len(raw) if random.random() < 0.4 else min(len(raw), 600)  # headers matter most
        at = int(random.integers(0, max(1, reach)))
        match int(random.integers(0, 5)):
            case 0: raw[at : at + 1] = bytes([int(random.integers(0, 256))])
            case 1: raw[at : at + 4] = random.bytes(4)
            case 2: del raw[at : at + int(random.integers(1, 200))]
            case 3: raw[at:at] = random.bytes(int(random.integers(1, 50)))
            case 4: raw[at : at + 4] = b"\\xff\\xff\\xff\\x7f"
    return bytes(raw[: int(len(raw) * random.random())] if random.random() < 0.2 else raw)


def read_or_refuse(path):
    try:
        source = open_source(path)
        region = tuple(slice(0, min(n, 64)) for n in source.header.shape)
        values, valid = source.read(region)
    except (ValueError, OSError, RuntimeError) as error:  # what the engine turns into a failed tile
        told = str(error)
    except Exception as error:
        told = f"{type(error).__name__}: {error}"
        print("UNEXPECTED", path, told)
        return
    else:
        assert values.shape == valid.shape and np.isfinite(values).all(), path
        told = ""
    found = describe(path)
    assert found["ok"] or (found["problem"] and "\\n" not in found["problem"]), found


def late(*_):
    raise TimeoutError("more than 10 s")


resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
signal.signal(signal.SIGALRM, late)
files = originals()
for path in files:
    assert describe(path)["ok"], describe(path)
random = np.random.default_rng(int(sys.argv[3]))
good = {p: p.read_bytes() for p in files}
for i in range(n_files):
    path = files[i % len(files)]
    path.write_bytes(mutated(good[path], random))
    signal.alarm(10)
    read_or_refuse(path)
    signal.alarm(0)
    path.write_bytes(good[path])
print("all", n_files, "peak MB", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10)
"""


def test_damaged_files_are_read_or_refused(tmp_path):
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", SCRIPT, str(tmp_path), str(N_FILES), "7"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "UNEXPECTED" not in done.stdout, done.stdout
    assert done.stdout.splitlines()[-1].startswith(f"all {N_FILES} peak MB")
    assert int(done.stdout.split()[-1]) < 1000

"""A simulated minute of a radio survey, written as FITS: what the sample night searches."""

from pathlib import Path

import numpy as np

from tasks.search.dispersion import dispersion_delays

DT, SHAPE, SEED = 0.1342, (320, 16, 64, 64), 110
BEAM = 3.0
BURSTS = (  # time at the mean frequency [s], DM, width [s], y, x, S/N
    (8.0, 350.0, 0.2, 20.3, 50.6, 16.0),
    (16.5, 1250.0, 0.5, 51.8, 15.1, 13.0),
    (25.0, 87.0, 4.0, 44.2, 41.5, 18.0),
    (36.4, 2600.0, 0.9, 9.4, 22.2, 12.0),
)


def write_night(path: Path) -> None:
    """Write the cube to ``path`` as 16-bit integers with celestial, frequency and time axes."""
    from astropy.io import fits

    freqs = np.linspace(1492.9, 1317.1, SHAPE[1])
    cube = simulate(freqs)
    counts = np.clip(np.rint(cube * 256), -32767, 32767).astype(np.int16)
    image = fits.PrimaryHDU(counts)
    header = image.header
    header.update(OBJECT="simulated night", BSCALE=1 / 256, BZERO=0.0, BUNIT="Jy/beam", TELESCOP="none")
    header.update({"MJD-OBS": 60000.25})
    axes = (("RA---SIN", 83.63, -0.008, "deg"), ("DEC--SIN", 22.01, 0.008, "deg"))
    for n, (kind, value, step, unit) in enumerate(axes, 1):
        header.update({f"CTYPE{n}": kind, f"CRVAL{n}": value, f"CDELT{n}": step, f"CUNIT{n}": unit, f"CRPIX{n}": 32.5})
    header.update(CTYPE3="FREQ", CRVAL3=freqs[0] * 1e6, CDELT3=(freqs[1] - freqs[0]) * 1e6, CRPIX3=1.0, CUNIT3="Hz")
    header.update(CTYPE4="TIME", CRVAL4=0.0, CDELT4=DT, CRPIX4=1.0, CUNIT4="s")
    image.writeto(path, overwrite=True)


def simulate(freqs: np.ndarray) -> np.ndarray:
    """Noise with the shape of the beam, two steady sources, a passing interference, and `BURSTS` [noise sigma]."""
    rng = np.random.default_rng(SEED)
    cube = rng.standard_normal(SHAPE, dtype=np.float32)
    ky, kx = np.fft.fftfreq(SHAPE[2]), np.fft.rfftfreq(SHAPE[3])
    # noise whose correlation is the beam: the square root of its transform, applied to white noise
    taper = np.exp(-((np.pi * BEAM) ** 2) / (8 * np.log(2)) * (ky[:, None] ** 2 + kx**2)).astype(np.float32)
    for plane in cube.reshape(-1, *SHAPE[2:]):
        plane[:] = np.fft.irfft2(np.fft.rfft2(plane) * taper, s=SHAPE[2:])
    cube /= cube[:16].std()
    rows, columns = np.mgrid[: SHAPE[2], : SHAPE[3]]

    def beam(y: float, x: float) -> np.ndarray:
        return np.exp(-4 * np.log(2) * ((rows - y) ** 2 + (columns - x) ** 2) / BEAM**2).astype(np.float32)

    cube += 25 * beam(30.0, 12.4) + 8 * beam(50.2, 50.0)
    cube[230:232] += 3 * np.cos(0.4 * columns + 0.2 * rows).astype(np.float32)
    for time, dm, width, y, x, snr in BURSTS:
        profile = _profile(freqs, time, dm, width)
        cube += (snr / np.sqrt((profile**2).sum())) * profile[:, :, None, None] * beam(y, x)
    return cube


def _profile(freqs: np.ndarray, time: float, dm: float, width: float) -> np.ndarray:
    """Mean flux of a unit boxcar in each sample (time, channel), smeared within the channels."""
    edges = np.arange(SHAPE[0] + 1) * DT
    sub = (np.arange(8) + 0.5) / 8 - 0.5
    spacing = abs(freqs[1] - freqs[0])
    late = dispersion_delays((freqs[:, None] + spacing * sub).ravel(), dm, reference=float(freqs.mean()))[0]
    inside = np.clip(edges[:, None] - (time - width / 2 + late), 0, width)
    return (np.diff(inside, axis=0) / DT).reshape(SHAPE[0], len(freqs), 8).mean(2).astype(np.float32)

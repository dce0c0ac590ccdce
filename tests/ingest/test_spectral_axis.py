"""Wavelengths and frequencies from any unit."""

import numpy as np
import pytest

from tasks.ingest.header import Unreadable
from tasks.ingest.spectral_axis import frequency_mhz, wavelength_nm


@pytest.mark.parametrize(
    ("value", "unit"),
    [
        (500, "nm"), (500, "Nanometers"), (0.5, "um"), (0.5, "µm"), (0.5, "Micrometers"), (0.5, "micron"), (5e-7, "m"),
        (5000, "Angstrom"), (20000, "cm-1"), (20000, "Wavenumber"), (599584.916, "GHz"), (500, None), (0.5, None),
        (500, "Unknown"), (0.5, ""),
    ],
)  # fmt: skip
def test_every_unit_gives_nanometres(value, unit):
    values, _ = wavelength_nm(np.array([value, value]), unit)
    assert np.allclose(values, 500)


@pytest.mark.parametrize("values", [[0, 0, 0], [1, 2, 3], [0, 1, 2], [0, 500, 600]])
def test_band_numbers_are_not_wavelengths(values):
    found, notes = wavelength_nm(np.array(values), None)
    assert found is None
    assert "left out" in notes[0]


def test_descending_wavelengths_keep_their_order():
    values, notes = wavelength_nm(np.array([700.0, 600, 500]), "nm")
    assert np.array_equal(values, [700, 600, 500])
    assert "descend" in notes[0]


@pytest.mark.parametrize("unit", ["nm", None])
def test_missing_numbers_are_refused(unit):
    with pytest.raises(Unreadable, match="NaN"):
        wavelength_nm(np.array([400, np.nan]), unit)


@pytest.mark.parametrize(
    ("value", "unit"), [(1.4e9, "Hz"), (1400, "MHz"), (1.4, "GHz"), (1.4e9, None), (1400, None), (1.4, "")]
)
def test_frequencies_give_megahertz(value, unit):
    assert np.allclose(frequency_mhz(np.array([value]), unit)[0], 1400)


def test_a_frequency_must_be_positive():
    with pytest.raises(Unreadable, match="negative"):
        frequency_mhz(np.array([-1.0, 1400]), "MHz")

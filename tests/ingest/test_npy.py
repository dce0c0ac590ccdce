"""NumPy arrays and archives as cubes."""

import pickle
import zipfile

import numpy as np
import pytest

from tasks.ingest import Unreadable, describe, open_source, reader_for


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("dtype", ["<u2", ">i2", "<f4", ">f8", "<f2", "bool"])
def test_any_region_of_an_array_equals_numpys_own(tmp_path, cube, order, dtype):
    path = tmp_path / "a.npy"
    np.save(path, np.asarray(cube.astype(dtype), order=order))
    source = open_source(path)

    values, valid = source.read((slice(1, 4), slice(0, 3), slice(1, 3)))

    assert source.header.shape == cube.shape
    assert values.dtype == np.float32
    assert np.array_equal(values, cube.astype(dtype)[1:4, 0:3, 1:3].astype(np.float32))
    assert valid.all()


def test_a_source_pickles_to_an_address(tmp_path, read_all):
    np.save(tmp_path / "a.npy", np.zeros((64, 64, 64), np.float32))
    sent = pickle.dumps(open_source(tmp_path / "a.npy"))
    assert len(sent) < 2000
    assert read_all(pickle.loads(sent))[0].shape == (64, 64, 64)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_radio_archive_keeps_small_integers_and_their_scale(tmp_path, save, read_all):
    q = np.arange(4 * 3 * 2 * 2, dtype=np.int8).reshape(4, 3, 2, 2)
    mask = np.ones((4, 3), bool)
    mask[1, 2] = False
    freqs = np.array([1500.0, 1400.0, 1300.0])
    save(tmp_path / "r.npz", q=q, scale=np.float32(0.5), mask=mask, freq_mhz=freqs, tsamp_s=0.25)
    header = (source := open_source(tmp_path / "r.npz")).header

    values, valid = read_all(source)

    assert (header.kind, header.shape, header.dtype, header.kept_scale) == ("radio_cube", q.shape, np.int8, (0.5, 0.0))
    assert np.array_equal(header.freqs, freqs)
    assert np.array_equal(header.time, [0, 0.25, 0.5, 0.75])
    assert np.array_equal(values, q)
    assert np.array_equal(valid, np.broadcast_to(mask[:, :, None, None], q.shape))


def test_an_archive_in_fortran_order_and_with_wavelengths(tmp_path, cube, read_all):
    np.savez(tmp_path / "a.npz", cube=np.asfortranarray(cube), wavelength_um=[0.4, 0.5, 0.6], fwhm_nm=[9.0, 9, 9])
    source = open_source(tmp_path / "a.npz")
    assert np.allclose(source.header.wavelength, [400, 500, 600])
    assert np.allclose(source.header.fwhm, 9)
    assert np.array_equal(read_all(source)[0], cube)


def test_the_band_axis_is_found_by_the_length_of_the_wavelengths(tmp_path, cube, read_all):
    np.savez(tmp_path / "a.npz", cube=cube.transpose(2, 0, 1), wavelengths=[400.0, 500.0, 600.0])
    source = open_source(tmp_path / "a.npz")
    assert source.header.shape == cube.shape
    assert np.array_equal(read_all(source)[0], cube)
    assert any("axis 0 is taken as band" in n for n in source.header.notes)


def test_axes_scale_and_nodata_can_be_set_by_hand(tmp_path, cube, read_all):
    np.save(tmp_path / "a.npy", cube.transpose(2, 0, 1).astype(np.int16))
    source = open_source(tmp_path / "a.npy").corrected(axes="band y x", scale=0.1, nodata=7)
    values, valid = read_all(source)
    assert np.array_equal(valid, cube != 7)
    assert np.allclose(values[valid], cube[valid] * 0.1)
    assert (values[~valid] == 0).all()


def test_nan_and_infinity_become_invalid_zeros(tmp_path, cube, read_all):
    cube[0, 0, 0], cube[1, 1, 1], cube[2, 2, 2] = np.nan, np.inf, -np.inf
    np.save(tmp_path / "a.npy", cube)
    values, valid = read_all(open_source(tmp_path / "a.npy"))
    assert (~valid).sum() == 3
    assert np.array_equal(values[~valid], [0, 0, 0])
    assert np.array_equal(values[valid], cube[np.isfinite(cube)])


def test_nan_everywhere_is_said_before_ingestion(tmp_path):
    np.save(tmp_path / "a.npy", np.full((4, 4, 3), np.nan))
    assert "none of the values" in describe(tmp_path / "a.npy")["warning"]


def test_a_constant_band_is_no_error(tmp_path, cube, read_all):
    cube[..., 1] = 4
    np.save(tmp_path / "a.npy", cube)
    assert read_all(open_source(tmp_path / "a.npy"))[1].all()


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.zeros((4, 4)), "2 axes"),
        (np.zeros((4, 4, 0)), "axis band has length 0"),
        (np.zeros((4, 4, 2), np.complex64), "complex64"),
        (np.full((4, 4, 2), "ab"), "U2"),
        (np.zeros((2, 2, 2, 2)), "no frequencies"),
        (np.zeros((4, 4, 2), [("a", "i2")]), "plain numbers"),
    ],
)
def test_an_array_that_is_no_cube_gets_one_sentence(tmp_path, array, says):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(Unreadable, match=says) as error:
        open_source(tmp_path / "a.npy")
    assert "\n" not in str(error.value)


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was loaded",))


@pytest.mark.parametrize("save", [np.save, lambda p, a: np.savez(p.with_suffix(".npz"), cube=a)])
def test_objects_are_never_unpickled(tmp_path, save):
    array = np.empty((2, 2, 2), object)
    array[:] = Bomb()
    save(tmp_path / "a.npy", array)
    path = next(tmp_path.iterdir())
    with pytest.raises(Unreadable):
        open_source(path)


def test_a_mesh_with_pieces_is_not_a_cube(tmp_path):
    np.savez(tmp_path / "mug.npz", vertices=np.zeros((3, 3)), faces=np.zeros((1, 3)), n_pieces=0)
    with pytest.raises(Unreadable, match="no reader knows"):
        reader_for(tmp_path / "mug.npz")


def test_two_cubes_in_one_archive_ask_for_a_name(tmp_path, cube, read_all):
    np.savez(tmp_path / "a.npz", before=cube, after=cube + 1)
    with pytest.raises(Unreadable, match="found 2 cubes, before, after; say which"):
        open_source(tmp_path / "a.npz")
    assert np.array_equal(read_all(open_source(tmp_path / "a.npz", "after"))[0], cube + 1)
    with pytest.raises(Unreadable, match="no variable 'during'"):
        open_source(tmp_path / "a.npz", "during")


@pytest.mark.parametrize("keep", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_a_truncated_file_gets_one_sentence(tmp_path, cube, keep, name):
    path = tmp_path / name
    (np.save if name.endswith("y") else np.savez)(path, cube)
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    with pytest.raises(Unreadable) as error:
        open_source(path)
    assert "\n" not in str(error.value)


def test_an_archive_whose_bytes_were_changed_is_caught_by_its_checksum(tmp_path, cube, read_all):
    np.savez_compressed(tmp_path / "a.npz", cube=cube)
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        at = archive.getinfo("cube.npy").header_offset
    raw = bytearray((tmp_path / "a.npz").read_bytes())
    raw[at + 150] ^= 0xFF
    (tmp_path / "a.npz").write_bytes(raw)
    assert describe(tmp_path / "a.npz")["ok"] is False

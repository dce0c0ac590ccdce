"""Only what is whole and unchanged becomes public; a changed byte is found later; readers see all or nothing."""

import json
from pathlib import Path

import numpy as np
import pytest
import zarr

from storage.areas import Area
from storage.errors import InvalidProductError, StoreError
from storage.layout import Coordinate, Layout, variable
from storage.publish import MANIFEST, seal, verify
from storage.writes import collected
from tasks.array.tiling import tiles

LAYOUT = Layout(
    "square",
    {"cube": variable(("y", "x"), (6, 6), "f4", (4, 4)), "valid": variable(("y", "x"), (6, 6), "bool", (4, 4))},
    {"y": Coordinate(("y",), np.arange(6.0), {"units": "m"})},
)


@pytest.fixture
def area(tmp_path):
    return Area(str(tmp_path), "flow", "k" * 32, 0)


def filled(area, name="square", skip=()):
    """A staged product with all shards but those of ``skip``, and the record of its writes."""
    product = area.product(name, LAYOUT)
    with collected() as written:
        for tile in tiles((6, 6), (4, 4)):
            for array in (product, product["valid"]):
                if (array.variable, tile.index) not in skip:
                    array.write(tile.core, np.full([s.stop - s.start for s in tile.core], tile.index[0] + 1))
    return product, written


def shard(product, name="cube", index="c/1/0"):
    return Path(product.uri, name, index)


def test_a_manifest_lists_every_shard_and_the_digest_is_that_of_the_content(area):
    product, written = filled(area)
    manifest = seal(product.uri, written, {"run": "a"})
    assert len(manifest["shards"]) == 4 + 4 + 1
    assert manifest["finite_fraction"] == 1.0
    assert verify(product.uri) == []
    again = seal(product.uri, written, {"run": "another"})
    assert again["digest"] == manifest["digest"]
    other, written = filled(area, "other")
    assert seal(other.uri, written, {})["digest"] == manifest["digest"]
    other["cube"].write((slice(0, 4), slice(0, 4)), np.full((4, 4), 9))
    assert seal(other.uri, [], {})["digest"] != manifest["digest"]


def test_the_digest_needs_no_record_of_the_writes(area):
    product, written = filled(area)
    assert seal(product.uri, written, {})["shards"] == seal(product.uri, [], {})["shards"]


@pytest.mark.parametrize("name", ["cube", "valid"])
def test_a_shard_never_written_is_refused(area, name):
    product, written = filled(area, skip={(name, (1, 0))})
    with pytest.raises(
        InvalidProductError, match=rf"1 of 4 shards of '{name}' are missing, first {name}/c/1/0; run the flow again"
    ):
        seal(product.uri, written, {})


def test_a_shard_that_vanished_or_shrank_is_refused(area):
    product, written = filled(area)
    data = shard(product).read_bytes()
    shard(product).write_bytes(data[:-3])
    with pytest.raises(InvalidProductError, match=f"holds {len(data) - 3} bytes, {len(data)} were written"):
        seal(product.uri, written, {})
    shard(product).unlink()
    with pytest.raises(InvalidProductError, match="missing"):
        seal(product.uri, written, {})


def test_a_half_written_file_of_a_dead_writer_is_cleared_away(area):
    product, written = filled(area)
    stray = shard(product).with_name("0.5f2c.partial")
    stray.write_bytes(b"half")
    manifest = seal(product.uri, written, {})
    assert not stray.exists()
    assert len(manifest["shards"]) == 9


@pytest.mark.parametrize("where", [0, -1, None])
def test_verify_finds_a_changed_byte_and_a_missing_file(area, where):
    product, written = filled(area)
    seal(product.uri, written, {})
    if where is None:
        shard(product).unlink()
    else:
        data = bytearray(shard(product).read_bytes())
        data[where] ^= 1
        shard(product).write_bytes(data)
    assert verify(product.uri) == ["cube/c/1/0"]


def test_what_was_never_published_cannot_be_verified(area):
    product, _ = filled(area)
    with pytest.raises(StoreError, match="has no manifest"):
        verify(product.uri)


def test_staging_is_out_of_sight_and_scratch_never_comes_out_of_it(area, tmp_path):
    product, written = filled(area)
    filled(area, "scratch")
    area.save("pictures/look.png", b"png")
    assert {p.name for p in tmp_path.iterdir()} == {".staging"}
    area.seal(product, written, {"run": "a"})
    area.release()
    area.discard(set())
    public = Path(area.public_name("square.zarr"))
    assert sorted(p.name for p in public.parent.iterdir()) == ["pictures", "square.zarr"]
    assert Path(area.public_name("pictures/look.png")).read_bytes() == b"png"
    assert json.loads((public / MANIFEST).read_text())["digest"]
    assert zarr.open_group(public).attrs["uri"] == str(public)
    assert verify(str(public)) == []
    assert not Path(area.staging).exists()


def test_a_product_in_a_folder_keeps_its_place(area):
    product, written = filled(area, "lab/v001/data")
    area.seal(product, written, {})
    area.release()
    assert verify(area.public_name("lab/v001/data.zarr")) == []


def test_what_was_renamed_but_not_published_is_taken_back(area):
    product, written = filled(area)
    area.seal(product, written, {})
    area.release()
    assert not Path(product.uri).exists()
    again = area.product("square", LAYOUT)
    assert again == product
    assert again.read().all()
    assert not Path(area.public_name("square.zarr")).exists()


def test_one_area_per_generation(tmp_path):
    areas = [Area(str(tmp_path), "flow", "k" * 32, g) for g in range(3)]
    assert len({a.staging for a in areas}) == len({a.public_name("p.zarr") for a in areas}) == 3


def test_finite_values_are_counted(area):
    product, _ = filled(area, skip={("cube", (0, 0))})
    with collected() as written:
        values = np.ones((4, 4), "f4")
        values[:2] = np.nan
        product.write((slice(0, 4), slice(0, 4)), values)
    assert seal(product.uri, written, {})["finite_fraction"] == 0.5

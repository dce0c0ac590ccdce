"""Tiles cover an array exactly once, whatever its shape; a halo is cut at the edge and trimmed away again."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.array.tiling import tiles
from tasks.attempts import cut


@st.composite
def plans(draw):
    n_axes = draw(st.integers(1, 4))
    edges = st.lists(st.integers(1, 9), min_size=n_axes, max_size=n_axes)
    shape, cell = draw(st.lists(st.integers(0, 13), min_size=n_axes, max_size=n_axes)), draw(edges)
    sides = st.one_of(st.integers(0, 6), st.tuples(st.integers(0, 6), st.integers(0, 6)))
    halo = draw(st.one_of(st.integers(0, 6), st.lists(sides, min_size=n_axes, max_size=n_axes)))
    return shape, cell, halo


@given(plans())
def test_cores_cover_every_element_exactly_once(plan):
    shape, cell, halo = plan
    count = np.zeros(shape, int)
    for tile in tiles(shape, cell, halo):
        count[tile.core] += 1
    assert (count == 1).all()


@given(plans())
def test_indexes_are_unique_and_in_c_order(plan):
    indexes = [tile.index for tile in tiles(*plan)]
    assert indexes == sorted(set(indexes))


@given(plans())
def test_trimming_what_was_read_gives_the_core(plan):
    shape, cell, halo = plan
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    for tile in tiles(shape, cell, halo):
        np.testing.assert_array_equal(array[tile.read][tile.trim], array[tile.core])


@given(plans())
def test_a_halo_is_as_wide_as_asked_or_ends_at_the_edge(plan):
    for tile in tiles(*plan):
        for core, read, size, (before, after) in zip(tile.core, tile.read, tile.shape, tile.halo, strict=True):
            assert core.start - read.start == min(before, core.start)
            assert read.stop - core.stop == min(after, size - core.stop)


@given(plans(), st.integers(1, 20))
def test_pieces_of_a_tile_cover_its_core_exactly_once(plan, count):
    for tile in tiles(*plan)[:3]:
        parts = cut(tile, count)
        covered = np.zeros(tile.shape, int)
        for part in parts:
            covered[part.core] += 1
            assert part.index == tile.index
        assert (covered[tile.core] == 1).all()
        assert covered.sum() == covered[tile.core].size
        assert len(parts) >= min(count, covered.sum())


@given(plans())
def test_another_halo_leaves_the_core(plan):
    for tile in tiles(*plan):
        other = tile.with_halo(2)
        assert (other.core, other.index) == (tile.core, tile.index)
        assert all(side == (2, 2) for side in other.halo)


def test_a_cell_without_samples_is_refused():
    with pytest.raises(ValueError, match="at least 1 along every axis"):
        tiles((4, 4), (2, 0))

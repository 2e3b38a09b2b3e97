"""Blocks cover a scene once and are whole shards of any result over it."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hsis.cube.layout import shard_indices, shard_slices
from hsis_inference.scene import band_shards, footprints

SIDES = st.integers(1, 1300)


@given(SIDES, SIDES)
def test_every_pixel_is_in_one_block(rows: int, columns: int) -> None:
    seen = np.zeros((rows, columns), np.uint8)
    for place in footprints(rows, columns):
        seen[slice(*place.rows), slice(*place.columns)] += 1
    assert (seen == 1).all()


@given(st.integers(1, 300), SIDES, SIDES)
def test_blocks_are_whole_shards(bands: int, rows: int, columns: int) -> None:
    shape = (bands, rows, columns)
    written = []
    for place in footprints(rows, columns):
        for index, part in band_shards(shape, place.grid):
            expected = shard_slices(shape, index)
            assert (part, slice(*place.rows), slice(*place.columns)) == expected
            written.append(index)
    assert sorted(written) == sorted(shard_indices(shape))

"""Windows cover the cube once, in whole shards, within the memory given."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hsis.cube.layout import shard_indices, shard_shape, shard_slices
from hsis_ingest.regions import plan, region_shape, shards_in


@given(
    shape=st.tuples(st.integers(1, 400), st.integers(1, 1500), st.integers(1, 2500)),
    itemsize=st.sampled_from([1, 2, 8, 16]),
    axes=st.sampled_from(["byx", "ybx", "yxb", "bxy"]),
    max_bytes=st.integers(1, 2**28),
)
def test_every_shard_is_in_one_window(shape, itemsize, axes, max_bytes):
    seen = {}
    for window in plan(shape, itemsize, axes, max_bytes):
        for index, inside in shards_in(shape, window):
            assert index not in seen
            seen[index] = tuple(
                slice(whole.start + part.start, whole.start + part.stop)
                for part, whole in zip(inside, window, strict=True)
            )
    assert seen == {index: shard_slices(shape, index) for index in shard_indices(shape)}
    size = region_shape(shape, itemsize, axes, max_bytes)
    least = np.minimum(shard_shape(shape), shape)
    assert math.prod(size) * itemsize <= max(max_bytes, math.prod(least.tolist()) * itemsize)


def test_windows_follow_the_file():
    shape, memory = (448, 2048, 2048), 2 * 112 * 256 * 512 * 4
    assert region_shape(shape, 2, "yxb", memory) == (448, 256, 512)  # all bands of a pixel first
    assert region_shape(shape, 2, "byx", memory) == (112, 256, 2048)  # whole rows first

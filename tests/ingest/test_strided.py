"""The one reader of raw arrays against numpy indexing, for any order, type and window."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsis_ingest.errors import TruncatedFile
from hsis_ingest.formats import strided
from hsis_ingest.formats.strided import StridedArray
from tests.ingest.files import MemoryFile

AXES = ["".join(order) for order in permutations("byx")]


def stored(cube: np.ndarray, axes: str, dtype: np.dtype, offset: int) -> StridedArray:
    """`cube` (band, y, x) laid out in a file in the order of `axes`."""
    laid = np.ascontiguousarray(cube.transpose(["byx".index(a) for a in axes]).astype(dtype))
    content = b"\xaa" * offset + laid.tobytes()
    return StridedArray(MemoryFile("cube", content), offset, dtype, axes, laid.shape)


@given(
    axes=st.sampled_from(AXES),
    dtype=st.sampled_from(["<i2", ">i2", ">f8", "<u1", ">c16", "<u8"]),
    offset=st.integers(0, 9),
    shape=st.tuples(*[st.integers(1, 6)] * 3),
    limits=st.tuples(st.integers(0, 64), st.integers(1, 200)),
    data=st.data(),
)
def test_every_window_is_what_numpy_slices(axes, dtype, offset, shape, limits, data):
    rng = np.random.default_rng(0)
    cube = rng.integers(0, 200, shape).astype(np.dtype(dtype).newbyteorder("="))
    window = []
    for size in shape:
        start = data.draw(st.integers(0, size - 1))
        window.append(slice(start, data.draw(st.integers(start + 1, size))))
    array = stored(cube, axes, np.dtype(dtype), offset)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(strided, "MAX_GAP_BYTES", limits[0])
        patch.setattr(strided, "MAX_READ_BYTES", limits[1])
        values = array.read(*window)
    np.testing.assert_array_equal(values, cube[tuple(window)])
    assert values.dtype == cube.dtype
    assert values.transpose(["byx".index(axis) for axis in axes]).flags.c_contiguous
    assert array.cube_shape == shape
    assert array.end == len(array.source.content)


def test_a_whole_cube_is_one_read():
    array = stored(np.zeros((7, 5, 4)), "ybx", np.dtype("<f4"), 0)
    array.read(slice(0, 7), slice(0, 5), slice(0, 4))
    assert array.source.reads == [(0, 7 * 5 * 4 * 4)]


def test_reads_are_bounded_and_skip_wide_gaps(monkeypatch):
    monkeypatch.setattr(strided, "MAX_GAP_BYTES", 10)
    array = stored(np.zeros((3, 8, 100)), "byx", np.dtype("u1"), 0)
    array.read(slice(1, 3), slice(2, 4), slice(0, 100))
    assert array.source.reads == [(1000, 200), (1800, 200)]


def test_the_end_of_the_file_is_told():
    array = stored(np.zeros((3, 8, 10)), "byx", np.dtype("u1"), 0)
    array.source.content = array.source.content[:-1]
    with pytest.raises(TruncatedFile, match="240"):
        array.read(slice(0, 3), slice(0, 8), slice(0, 10))

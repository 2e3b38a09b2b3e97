"""NumPy files against the array that was saved."""

import io

import numpy as np
import pytest

from hsis.errors import InvalidInput
from hsis_ingest.detect import open_source
from hsis_ingest.errors import HeaderMismatch, TruncatedFile, UnsupportedFormat, VariableNeeded
from hsis_ingest.formats.source import ReadOptions
from tests.ingest.files import MemoryFile, whole

CUBE = np.arange(4 * 5 * 3, dtype=np.int32).reshape(4, 5, 3)


def content_of(array, **arguments):
    buffer = io.BytesIO()
    np.save(buffer, array, **arguments)
    return buffer.getvalue()


def opened(content, **options):
    return open_source([MemoryFile("scene.npy", content)], ReadOptions(**options))


@pytest.mark.parametrize("dtype", ["<i4", ">i4", ">f8", "<c8", "|u1"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("axes", [None, "yxb", "byx", "xby"])
def test_any_order(dtype, order, axes):
    saved = np.asarray(CUBE, dtype, order=order)
    source = opened(content_of(saved), **({"axes": axes} if axes else {}))
    expected = CUBE.transpose([(axes or "yxb").index(axis) for axis in "byx"])
    np.testing.assert_array_equal(whole(source), expected)
    assert source.info.dtype == np.dtype(dtype).newbyteorder("=")


@pytest.mark.parametrize("order", ["C", "F"])
def test_flat_pixels_are_counted_row_by_row(order):
    flat = CUBE.reshape(20, 3)
    expected = CUBE.transpose(2, 0, 1)
    with pytest.raises(VariableNeeded, match=r"\(20, 3\).*rows"):
        opened(content_of(flat))
    for saved in (flat, flat.T):
        content = content_of(np.asarray(saved, order=order))
        np.testing.assert_array_equal(whole(opened(content, rows=4, columns=5)), expected)
    with pytest.raises(InvalidInput, match="12 pixels"):
        opened(content_of(flat), rows=4, columns=3)


@pytest.mark.parametrize("order", ["C", "F"])
def test_one_band_by_axes(order):
    picture = np.asarray(np.arange(12).reshape(3, 4), order=order)
    np.testing.assert_array_equal(whole(opened(content_of(picture), axes="yx")), picture[None])
    np.testing.assert_array_equal(whole(opened(content_of(picture), axes="xy")), picture.T[None])


def test_sizes_that_do_not_fit_say_both():
    content = content_of(CUBE)
    with pytest.raises(TruncatedFile, match=f"has {len(content) - 1} bytes.*says {len(content)}"):
        opened(content[:-1])
    with pytest.raises(HeaderMismatch, match=f"has {len(content) + 1} bytes"):
        opened(content + b"x")
    with pytest.raises(TruncatedFile, match="header"):
        opened(content[:20])


def test_what_cannot_be_stored_is_refused():
    with pytest.raises(UnsupportedFormat, match="objects"):
        opened(content_of(np.array([[["a"]]], object)))
    with pytest.raises(UnsupportedFormat, match="float16"):
        opened(content_of(CUBE.astype(np.float16)))
    with pytest.raises(UnsupportedFormat, match="shape"):
        opened(content_of(np.zeros(7)))


@pytest.mark.parametrize(
    ("header", "error"),
    [
        (b"{'descr': '<i4', 'fortran_order': False, 'shape': (2, 3, 4", TruncatedFile),
        (b"{'descr': '<i4', 'fortran_order': False, 'shape': (-1, -2, 3), }", UnsupportedFormat),
        (b"{'descr': '<i4', b'fortran_order': False, 'shape': (2, 3, 4), }", TruncatedFile),
        (b"(" * 3000, TruncatedFile),
        (b"'" * 3, TruncatedFile),
        (b"\xff\xfe", TruncatedFile),
    ],
)
def test_hostile_headers(header, error):
    content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(24)
    with pytest.raises(error):
        opened(content)

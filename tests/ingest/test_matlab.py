"""MATLAB files against scipy, and the guards before scipy."""

import io
import zlib

import numpy as np
import pytest
import scipy.io

from hsis.errors import InvalidInput
from hsis_ingest.detect import open_source
from hsis_ingest.errors import (
    DecompressionBomb,
    TruncatedFile,
    UnsupportedFormat,
    VariableNeeded,
)
from hsis_ingest.formats.source import ReadOptions
from tests.ingest.files import MemoryFile, whole

CUBE = np.arange(4 * 5 * 3, dtype=np.uint16).reshape(4, 5, 3)  # rows, columns, bands


def content_of(compress=False, **variables):
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, variables, do_compression=compress)
    return buffer.getvalue()


def opened(content, **options):
    return open_source([MemoryFile("scene.mat", content)], ReadOptions(**options))


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4", "f4", "f8", "c16"])
def test_the_only_cube_is_taken(compress, dtype):
    cube = CUBE.astype(dtype)
    source = opened(content_of(compress, scene=cube, note="words", gt=np.ones((4, 5))))
    assert source.info.dtype == cube.dtype
    np.testing.assert_array_equal(whole(source), cube.transpose(2, 0, 1))
    np.testing.assert_array_equal(
        source.read(slice(1, 3), slice(0, 2), slice(4, 5)), cube[0:2, 4:5, 1:3].transpose(2, 0, 1)
    )


def test_axes_say_what_the_array_has_not():
    source = opened(content_of(scene=CUBE), axes="byx")
    np.testing.assert_array_equal(whole(source), CUBE)


def test_several_cubes_need_a_name():
    content = content_of(a=CUBE, b=CUBE + 1)
    with pytest.raises(VariableNeeded, match=r"a \(4 x 5 x 3 uint16\), b \(4 x 5 x 3 uint16\)"):
        opened(content)
    np.testing.assert_array_equal(
        whole(opened(content, variable="b")), (CUBE + 1).transpose(2, 0, 1)
    )
    with pytest.raises(VariableNeeded, match="no variable 'c'"):
        opened(content, variable="c")


def test_flat_pixels_are_counted_column_by_column():
    # As MATLAB's reshape(Y, bands, rows, cols) does.
    flat = CUBE.transpose(2, 0, 1).reshape(3, 20, order="F")
    content = content_of(Y=flat)
    with pytest.raises(VariableNeeded, match=r"`rows` and `columns`.*Y"):
        opened(content)
    expected = CUBE.transpose(2, 0, 1)
    np.testing.assert_array_equal(whole(opened(content, rows=4, columns=5)), expected)
    transposed = content_of(Y=flat.T)
    np.testing.assert_array_equal(whole(opened(transposed, rows=4, columns=5)), expected)
    said = content_of(Y=flat, A=np.zeros((2, 20)), nRow=4.0, nCol=5.0, nBand=3.0)
    np.testing.assert_array_equal(whole(opened(said)), expected)
    with pytest.raises(VariableNeeded, match=r"Y \(3 x 20 uint16\), A \(2 x 20 double\)"):
        opened(content_of(Y=flat, A=np.zeros((2, 20)), nRow=4.0, nCol=5.0))
    with pytest.raises(InvalidInput, match="36 pixels"):
        opened(content, variable="Y", rows=6, columns=6)


def test_one_band_by_axes():
    picture = np.arange(12.0).reshape(3, 4)
    source = opened(content_of(gt=picture), variable="gt", axes="yx")
    np.testing.assert_array_equal(whole(source), picture[None])


@pytest.mark.parametrize(
    ("wavelengths", "expected"),
    [([400, 500, 600.5], (400, 500, 600.5)), ([[0.4], [0.5], [0.6]], (400, 500, 600))],
)
def test_wavelengths_that_fit(wavelengths, expected):
    content = content_of(scene=CUBE, wavelengths=np.array(wavelengths))
    assert opened(content).info.wavelengths_nm == pytest.approx(expected)
    assert opened(content_of(scene=CUBE, wavelength=np.ones(7))).info.wavelengths_nm is None


def test_a_bomb_is_refused_before_it_is_loaded():
    content = content_of(True, scene=np.zeros((500, 500, 200), np.uint8))
    assert len(content) < 100_000
    with pytest.raises(DecompressionBomb, match="matlab_max_bytes"):
        opened(content, matlab_max_bytes=10_000_000)
    with pytest.raises(DecompressionBomb, match="matlab_max_ratio"):
        opened(content, matlab_max_ratio=100)


def test_a_bomb_with_a_lying_header_is_refused():
    # A variable that declares one pixel, and 100 MB of zeros behind it in the same stream.
    plain = content_of(scene=CUBE)
    stream = zlib.compress(plain[128:] + bytes(100_000_000), 9)
    content = plain[:128] + np.array([15, len(stream)], "<u4").tobytes() + stream
    with pytest.raises(DecompressionBomb):
        opened(content)


def test_an_uncompressed_array_is_capped_too():
    with pytest.raises(DecompressionBomb, match="120 bytes; at most 100"):
        opened(content_of(scene=CUBE), matlab_max_bytes=100)


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("kept", [130, 0.5, 0.95])
def test_a_truncated_file_is_refused(compress, kept):
    content = content_of(compress, scene=CUBE)
    with pytest.raises(TruncatedFile, match=r"scene.mat"):
        opened(content[: int(kept * len(content)) if kept < 1 else kept])


def test_what_is_no_array_of_numbers_is_refused():
    with pytest.raises(UnsupportedFormat, match="note"):
        opened(content_of(note="words", scene=CUBE), variable="note")
    with pytest.raises(VariableNeeded, match="none"):
        opened(content_of(note="words"))

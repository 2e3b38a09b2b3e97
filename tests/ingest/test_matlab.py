"""MATLAB files against scipy, and the guards before scipy."""

import io
import struct
import tracemalloc
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
@pytest.mark.parametrize(
    "dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8", "c8", "c16"]
)
def test_the_only_cube_is_taken(compress, dtype):
    cube = CUBE.astype(dtype)
    source = opened(content_of(compress, scene=cube, note="words", gt=np.ones((4, 5))))
    assert source.info.dtype == cube.dtype
    np.testing.assert_array_equal(whole(source), cube.transpose(2, 0, 1))
    np.testing.assert_array_equal(
        source.read(slice(1, 3), slice(0, 2), slice(4, 5)), cube[0:2, 4:5, 1:3].transpose(2, 0, 1)
    )


@pytest.mark.parametrize("compress", [False, True])
def test_a_logical_array_is_one_of_bytes(compress):
    cube = CUBE % 3 == 0
    source = opened(content_of(compress, mask=cube))
    assert source.info.dtype == np.uint8
    np.testing.assert_array_equal(whole(source), cube.transpose(2, 0, 1))


TYPES = {"i1": 1, "u1": 2, "i2": 3, "u2": 4, "i4": 5, "u4": 6, "f4": 7, "f8": 9, "i8": 12, "u8": 13}


def element(order, kind, content):
    if len(content) <= 4:
        return struct.pack(order + "I", len(content) << 16 | kind) + content.ljust(4, b"\0")
    return struct.pack(order + "II", kind, len(content)) + content + bytes(-len(content) % 8)


def by_hand(order, number, parts, flags=0, compress=False, name=b"scene"):
    """A file of one variable, laid out by the specification: `parts` are as they are stored."""
    matrix = element(order, 6, struct.pack(order + "II", flags << 8 | number, 0))
    matrix += element(order, 5, struct.pack(order + "3i", *parts[0].shape))
    matrix += element(order, 1, name)
    for part in parts:
        plain = part.astype(part.dtype.newbyteorder(order)).tobytes("F")
        matrix += element(order, TYPES[part.dtype.str[1:]], plain)
    variable = element(order, 14, matrix)
    if compress:
        packed = zlib.compress(variable)
        variable = struct.pack(order + "II", 15, len(packed)) + packed
    head = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack(order + "H", 0x0100)
    return head + (b"IM" if order == "<" else b"MI") + variable


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("stored", TYPES)
def test_both_byte_orders_and_every_type_of_storage(order, stored, compress):
    # A double array, as MATLAB stores it where a smaller type holds its values.
    cube = CUBE.astype(stored)
    source = opened(by_hand(order, 6, [cube], compress=compress, name=b"abc"))
    assert source.info.dtype == stored
    np.testing.assert_array_equal(whole(source), CUBE.transpose(2, 0, 1))
    if stored == "u2":
        expected = scipy.io.loadmat(io.BytesIO(by_hand(order, 6, [cube])))["scene"]
        np.testing.assert_array_equal(expected, CUBE)


@pytest.mark.parametrize("order", "<>")
def test_parts_of_a_complex_array_have_types_of_their_own(order):
    content = by_hand(order, 6, [CUBE.astype("u1"), CUBE.astype("i2") - 30], flags=8, compress=True)
    source = opened(content)
    assert source.info.dtype == np.complex128
    expected = scipy.io.loadmat(io.BytesIO(content))["scene"]
    np.testing.assert_array_equal(expected, CUBE + 1j * (CUBE.astype(float) - 30))
    np.testing.assert_array_equal(whole(source), expected.transpose(2, 0, 1))


def test_lengths_that_do_not_fit_are_told():
    short = by_hand("<", 6, [CUBE]).replace(
        struct.pack("<3i", 4, 5, 3), struct.pack("<3i", 4, 5, 4)
    )
    with pytest.raises(TruncatedFile, match=r"scene \(4 x 5 x 4 double\) has 120 bytes; 160"):
        opened(short)
    with pytest.raises(TruncatedFile, match=r"the shape \(-4, 5, 3\)"):
        opened(short.replace(struct.pack("<3i", 4, 5, 4), struct.pack("<3i", -4, 5, 3)))
    with pytest.raises(DecompressionBomb, match="more than 2 variables"):
        opened(content_of(a=1, b=2, c=3), hdf5_max_objects=2)


def noise(rows, columns, bands, dtype):
    values = np.random.default_rng(5).integers(0, 250, rows * columns * bands * 2, np.uint8)
    return np.resize(values.astype(dtype), (rows, columns, bands))


@pytest.mark.parametrize(
    ("dtype", "axes"), [("u1", "yxb"), ("u1", "byx"), ("u1", "xby"), ("c8", "yxb")]
)
def test_windows_of_a_compressed_array_in_any_order(dtype, axes):
    cube = noise(100, 300, 90 if dtype == "u1" else 15, dtype)
    if dtype == "c8":
        cube.imag = cube.real[::-1]
    expected = cube.transpose([axes.index(axis) for axis in "byx"])
    source = opened(content_of(True, scene=cube), axes=axes)
    random = np.random.default_rng(6)
    for _ in range(12):
        ends = [np.sort(random.choice(size + 1, 2, replace=False)) for size in expected.shape]
        window = tuple(slice(int(start), int(stop)) for start, stop in ends)
        np.testing.assert_array_equal(source.read(*window), expected[window])


def test_what_was_inflated_once_is_not_inflated_from_the_start_again():
    cube = noise(100, 300, 200, np.uint8)  # 6 MB that do not become smaller
    file = MemoryFile("scene.mat", content_of(True, scene=cube))
    source = open_source([file], ReadOptions())
    everything = (slice(0, 100), slice(0, 300))
    source.read(slice(199, 200), *everything)
    for band in (150, 30, 151):
        file.reads.clear()
        found = source.read(slice(band, band + 1), *everything)
        np.testing.assert_array_equal(found[0], cube[:, :, band])
        assert 0 < sum(length for _, length in file.reads) <= 2 * 1024**2


def test_a_compressed_array_is_never_held_whole():
    pattern = np.random.default_rng(7).integers(0, 4000, (16, 200, 10), np.uint16)
    cube = np.tile(pattern, (16, 1, 20))  # 20 MB
    content = content_of(True, scene=cube)
    tracemalloc.start()
    try:
        source = opened(content)
        for start in range(0, 200, 16):
            part = slice(start, min(start + 16, 200))
            found = source.read(part, slice(0, 256), slice(0, 200))
            np.testing.assert_array_equal(found[:, 17], cube[17, :, part].T)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # A window (1.6 MB) twice, zlib's states, and what is read at once.
    assert peak < 8 * 1024**2


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


@pytest.mark.parametrize("shape", [(0, 1), (1, 0)])
def test_no_wavelengths_are_none_of_one_band(shape):
    content = content_of(scene=CUBE[..., 0], wavelength=np.zeros(shape))
    assert opened(content, axes="yx").info.wavelengths_nm is None


def test_a_bomb_is_refused_before_it_is_loaded():
    content = content_of(True, scene=np.zeros((500, 500, 200), np.uint8))
    assert len(content) < 100_000
    with pytest.raises(DecompressionBomb, match="matlab_max_ratio"):
        opened(content)
    source = opened(content, matlab_max_ratio=2000)
    last = source.read(slice(199, 200), slice(0, 500), slice(499, 500))
    np.testing.assert_array_equal(last, np.zeros((1, 500, 1)))


def test_a_bomb_with_a_lying_header_is_refused():
    # A variable that declares one pixel, and 100 MB of zeros behind it in the same stream.
    plain = content_of(scene=CUBE)
    stream = zlib.compress(plain[128:] + bytes(100_000_000), 9)
    content = plain[:128] + np.array([15, len(stream)], "<u4").tobytes() + stream
    with pytest.raises(DecompressionBomb):
        opened(content)


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

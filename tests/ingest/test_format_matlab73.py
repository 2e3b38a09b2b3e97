"""MATLAB v7.3 files, laid out with h5py as MATLAB does: axes in reverse, a class on each array."""

import io

import h5py
import numpy as np
import pytest

from hsis_ingest.errors import ExternalReference, UnsupportedFormat, VariableNeeded
from tests.ingest.files import MemoryFile, opened, whole

CUBE = (
    np.random.default_rng(2).integers(0, 900, (6, 5, 3)).astype(np.uint16)
)  # rows, columns, bands
BANDS_FIRST = CUBE.transpose(2, 0, 1)
HEADER = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM"
CLASSES = {"float64": "double", "float32": "single"}


def mat(variables, **layout):
    """A .mat file of arrays as MATLAB shows them."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", userblock_size=512) as file:
        for name, values in variables.items():
            dataset = file.create_dataset(name, data=np.asarray(values).T, **layout)
            kind = CLASSES.get(str(dataset.dtype), str(dataset.dtype))
            dataset.attrs["MATLAB_class"] = np.bytes_(kind)
        file.create_dataset("#refs#/a", data=np.zeros((4, 4, 4)))
        words = file.create_dataset("note", data=np.array([[104], [105]], np.uint16))
        words.attrs["MATLAB_class"] = np.bytes_("char")
    buffer.seek(0)
    buffer.write(HEADER)
    return MemoryFile("scene.mat", buffer.getvalue())


@pytest.mark.parametrize("layout", [{}, {"chunks": (2, 3, 4), "compression": "gzip"}], ids=str)
@pytest.mark.parametrize("dtype", ["u1", "i2", "f4", "f8"])
def test_the_only_cube_is_taken(layout, dtype):
    cube = CUBE.astype(dtype)
    source = opened([mat({"scene": cube}, **layout)])
    assert source.format_name == "MATLAB v7.3"
    assert source.info.dtype == dtype
    np.testing.assert_array_equal(whole(source), cube.transpose(2, 0, 1))
    np.testing.assert_array_equal(
        source.read(slice(1, 3), slice(2, 5), slice(0, 4)), cube[2:5, 0:4, 1:3].transpose(2, 0, 1)
    )


def test_axes_are_those_that_matlab_shows():
    np.testing.assert_array_equal(whole(opened([mat({"a": CUBE})], axes="byx")), CUBE)


def test_complex_numbers():
    values = (CUBE + 1j * CUBE[::-1]).astype(np.complex128)
    parts = np.zeros(values.T.shape, [("real", "<f8"), ("imag", "<f8")])
    parts["real"], parts["imag"] = values.T.real, values.T.imag
    for layout in ({}, {"chunks": (3, 2, 2), "compression": "gzip"}):
        buffer = io.BytesIO()
        with h5py.File(buffer, "w", userblock_size=512) as file:
            file.create_dataset("z", data=parts, **layout).attrs["MATLAB_class"] = np.bytes_(
                "double"
            )
        buffer.seek(0)
        buffer.write(HEADER)
        source = opened([MemoryFile("z.mat", buffer.getvalue())])
        np.testing.assert_array_equal(whole(source), values.transpose(2, 0, 1))


def test_several_cubes_need_a_name():
    file = mat({"a": CUBE, "s/b": CUBE + 1})
    with pytest.raises(VariableNeeded, match=r"a \(6 x 5 x 3 uint16\), s/b \(6 x 5 x 3 uint16\)"):
        opened([file])
    for name in ("s/b", "s.b"):
        np.testing.assert_array_equal(whole(opened([file], variable=name)), BANDS_FIRST + 1)
    with pytest.raises(VariableNeeded, match="no variable 'c'"):
        opened([file], variable="c")
    with pytest.raises(UnsupportedFormat, match="note"):
        opened([file], variable="note")


def test_flat_pixels_are_counted_column_by_column():
    flat = BANDS_FIRST.reshape(3, 30, order="F")
    with pytest.raises(VariableNeeded, match="`rows` and `columns`"):
        opened([mat({"Y": flat})])
    for values in (flat, flat.T):
        source = opened([mat({"Y": values})], rows=6, columns=5)
        np.testing.assert_array_equal(whole(source), BANDS_FIRST)
        np.testing.assert_array_equal(
            source.read(slice(0, 2), slice(1, 4), slice(2, 5)), BANDS_FIRST[0:2, 1:4, 2:5]
        )
    said = mat({"Y": flat, "nRow": [[6.0]], "nCol": [[5.0]]})
    np.testing.assert_array_equal(whole(opened([said])), BANDS_FIRST)


def test_wavelengths_that_fit():
    file = mat({"scene": CUBE, "wavelengths": [[0.4, 0.5, 0.6]], "fwhm": [[0.01, 0.01, 0.02]]})
    assert opened([file]).info.wavelengths_nm == pytest.approx((400, 500, 600))
    assert opened([file]).info.fwhm_nm == pytest.approx((10, 10, 20))


def test_a_variable_that_lies_elsewhere():
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", userblock_size=512) as file:
        file["scene"] = h5py.ExternalLink("/etc/passwd", "/x")
    buffer.seek(0)
    buffer.write(HEADER)
    file = MemoryFile("scene.mat", buffer.getvalue())
    for options in ({}, {"variable": "scene"}):
        with pytest.raises(ExternalReference, match="/etc/passwd"):
            opened([file], **options)

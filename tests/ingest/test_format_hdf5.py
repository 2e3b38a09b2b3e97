"""HDF5 and NetCDF-4 against the arrays that h5py and netCDF4 wrote."""

import h5py
import numpy as np
import pytest
from rasterio.crs import CRS

from hsis.errors import InvalidInput
from hsis_ingest.errors import HeaderMismatch, UnsupportedFormat, VariableNeeded
from tests.ingest.files import file_of, opened, whole
from tests.ingest.hdf5_files import h5

VALUES = np.random.default_rng(3).integers(0, 200, (7, 30, 21)).astype(np.int16)  # band, y, x
WINDOW = (slice(2, 5), slice(3, 29), slice(8, 21))

LAYOUTS = [
    {},
    {"chunks": (2, 16, 8)},
    {"chunks": (7, 30, 21), "compression": "gzip"},
    {"chunks": (3, 7, 10), "compression": "gzip", "shuffle": True, "fletcher32": True},
    {"chunks": (3, 7, 10), "shuffle": True},
    {"chunks": (3, 7, 10), "compression": "lzf", "shuffle": True},
    {"chunks": (1, 30, 5), "maxshape": (None, None, 40), "compression": "gzip"},
]


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_layouts_and_filters(layout, libver):
    source = opened(
        [h5(lambda f: f.create_dataset("a/cube", data=VALUES, **layout), libver=libver)], axes="byx"
    )
    np.testing.assert_array_equal(whole(source), VALUES)
    np.testing.assert_array_equal(source.read(*WINDOW), VALUES[WINDOW])
    np.testing.assert_array_equal(whole(source), VALUES)
    assert source.format_name == "HDF5"


@pytest.mark.parametrize("dtype", ["i1", "<u2", ">u2", ">i4", "<i8", ">f4", "<f8", "c8", ">c16"])
@pytest.mark.parametrize("layout", [{}, {"chunks": (2, 9, 9), "compression": "gzip"}], ids=str)
def test_types(dtype, layout):
    values = VALUES.astype(dtype)
    source = opened([h5(lambda f: f.create_dataset("cube", data=values, **layout))], axes="byx")
    stored = whole(source)
    assert stored.dtype == source.info.dtype == np.dtype(dtype).newbyteorder("=")
    np.testing.assert_array_equal(stored, values)


def typed(stored_type, values):
    def write(file):
        space = h5py.h5s.create_simple(VALUES.shape)
        dataset = h5py.Dataset(h5py.h5d.create(file.id, b"cube", stored_type, space))
        if values is not None:
            dataset[...] = values

    return h5(write)


def test_a_type_of_fewer_bits_is_widened():
    twelve_bits = h5py.h5t.STD_I16BE.copy()
    twelve_bits.set_precision(12)
    twelve_bits.set_offset(4)
    source = opened([typed(twelve_bits, VALUES)], axes="byx")
    np.testing.assert_array_equal(whole(source), VALUES)
    np.testing.assert_array_equal(source.read(*WINDOW), VALUES[WINDOW])


def test_a_type_that_numpy_has_not_is_refused():
    three_bytes = h5py.h5t.STD_I32LE.copy()
    three_bytes.set_size(3)
    with pytest.raises(UnsupportedFormat, match="NumPy has not"):
        opened([typed(three_bytes, None)], variable="cube")


def test_chunks_never_written_hold_the_fill_value():
    def write(file):
        dataset = file.create_dataset("cube", VALUES.shape, "i2", chunks=(2, 8, 8), fillvalue=-7)
        dataset[2:4, 8:16, 0:8] = 5

    expected = np.full(VALUES.shape, -7, np.int16)
    expected[2:4, 8:16, 0:8] = 5
    np.testing.assert_array_equal(whole(opened([h5(write)], axes="byx")), expected)


@pytest.mark.parametrize("axes", ["byx", "yxb", "ybx", "xyb"])
def test_axes_of_an_array_without_names(axes):
    laid = np.ascontiguousarray(VALUES.transpose(["byx".index(axis) for axis in axes]))
    file = h5(lambda f: f.create_dataset("cube", data=laid, chunks=(5, 5, 5)))
    source = opened([file], axes=axes)
    np.testing.assert_array_equal(whole(source), VALUES)
    np.testing.assert_array_equal(source.read(*WINDOW), VALUES[WINDOW])
    if axes == "yxb":
        np.testing.assert_array_equal(whole(opened([file])), VALUES)


@pytest.mark.parametrize(
    ("names", "axes"),
    [
        (("line", "sample", "band"), "yxb"),
        (("wavelength", "lat", "lon"), "byx"),
        (("row", "band", "column"), "ybx"),
        (("scans", "pixels", "red_bands"), "yxb"),
        (("x", "y", "unheard"), "xyb"),
    ],
)
def test_axes_by_the_names_of_dimensions(names, axes):
    laid = np.ascontiguousarray(VALUES.transpose(["byx".index(axis) for axis in axes]))

    def labelled(file):
        dataset = file.create_dataset("cube", data=laid)
        for dimension, name in zip(dataset.dims, names, strict=True):
            dimension.label = name

    def scaled(file):
        dataset = file.create_dataset("cube", data=laid)
        for number, name in enumerate(names):
            file[name] = np.arange(laid.shape[number])
            file[name].make_scale(name)
            dataset.dims[number].attach_scale(file[name])

    np.testing.assert_array_equal(whole(opened([h5(labelled)])), VALUES)
    np.testing.assert_array_equal(whole(opened([h5(scaled)])), VALUES)


def test_the_uploaders_axes_outdo_the_names():
    def write(file):
        dataset = file.create_dataset("cube", data=VALUES)
        for dimension, name in zip(dataset.dims, ("y", "x", "band"), strict=True):
            dimension.label = name

    np.testing.assert_array_equal(whole(opened([h5(write)], axes="byx")), VALUES)


def test_a_leading_axis_of_one_is_left_out():
    file = h5(lambda f: f.create_dataset("cube", data=VALUES[None], chunks=(1, 7, 8, 8)))
    source = opened([file], axes="byx")
    np.testing.assert_array_equal(source.read(*WINDOW), VALUES[WINDOW])


@pytest.mark.parametrize("chunks", [None, (40, 3)])
def test_flat_pixels_are_counted_row_by_row(chunks):
    flat = VALUES.reshape(7, 630).T
    source = opened(
        [h5(lambda f: f.create_dataset("Y", data=flat, chunks=chunks))],
        variable="Y", rows=30, columns=21,
    )  # fmt: skip
    np.testing.assert_array_equal(whole(source), VALUES)
    np.testing.assert_array_equal(source.read(*WINDOW), VALUES[WINDOW])
    across = opened([h5(lambda f: f.create_dataset("Y", data=flat.T))],
                    variable="Y", rows=30, columns=21)  # fmt: skip
    np.testing.assert_array_equal(across.read(*WINDOW), VALUES[WINDOW])


def test_several_cubes_need_a_name():
    def write(file):
        file["one/cube"] = VALUES
        file["two"] = VALUES + 1
        file["table"] = np.zeros((3, 3))
        file["words"] = np.full((2, 2, 2), b"no")
        file["alias"] = h5py.SoftLink("/one/cube")

    with pytest.raises(VariableNeeded) as caught:
        opened([h5(write)])
    told = str(caught.value)
    assert "two (7 x 30 x 21 int16)" in told
    assert "one/cube (7 x 30 x 21 int16)" in told
    assert "table" not in told
    assert "words" not in told
    for name in ("one/cube", "/one/cube", "alias"):
        np.testing.assert_array_equal(whole(opened([h5(write)], variable=name, axes="byx")), VALUES)
    with pytest.raises(VariableNeeded, match="no dataset 'three'"):
        opened([h5(write)], variable="three")
    with pytest.raises(UnsupportedFormat, match="not numbers"):
        opened([h5(write)], variable="words")
    with pytest.raises(VariableNeeded, match="`rows` and `columns`"):
        opened([h5(write)], variable="table")
    with pytest.raises(InvalidInput, match="36 pixels"):
        opened([h5(write)], variable="table", rows=6, columns=6)


def test_no_cube_lists_what_there_is():
    with pytest.raises(VariableNeeded, match=r"candidates: Y \(630 x 7 int64\)"):
        opened([h5(lambda f: f.create_dataset("Y", data=np.zeros((630, 7), int)))])
    with pytest.raises(VariableNeeded, match="none"):
        opened([h5(lambda f: f.create_dataset("n", data=1))])


def netcdf(tmp_path, write):
    netCDF4 = pytest.importorskip("netCDF4")
    path = tmp_path / "scene.nc"
    with netCDF4.Dataset(path, "w") as file:
        write(file)
    return file_of(path)


def test_a_netcdf_file_says_everything(tmp_path):
    def write(file):
        file.time_coverage_start = "2023-03-16T04:51:53Z"
        for name, size in zip(("wavelength", "y", "x"), VALUES.shape, strict=True):
            file.createDimension(name, size)
        cube = file.createVariable(
            "reflectance", "i2", ("y", "x", "wavelength"), zlib=True, fill_value=-9999
        )
        cube.set_auto_maskandscale(False)
        cube[:] = VALUES.transpose(1, 2, 0)
        cube.scale_factor, cube.add_offset, cube.units = 0.0001, 0.5, "1"
        cube.grid_mapping = "crs"
        file.createVariable("crs", "i4").crs_wkt = CRS.from_epsg(32633).to_wkt()
        wavelength = file.createVariable("wavelength", "f8", ("wavelength",))
        wavelength[:] = np.linspace(0.4, 1.0, 7)
        wavelength.units = "um"
        file.createVariable("fwhm", "f4", ("wavelength",))[:] = np.full(7, 0.0105)
        file.createVariable("good_wavelengths", "i1", ("wavelength",))[:] = [1, 1, 0, 1, 1, 1, 0]
        file.createVariable("y", "f8", ("y",))[:] = 5_000_000 - 30.0 * np.arange(30) - 15
        file.createVariable("x", "f8", ("x",))[:] = 300_000 + 30.0 * np.arange(21) + 15

    source = opened([netcdf(tmp_path, write)])
    info = source.info
    assert source.format_name == "NetCDF-4"
    np.testing.assert_array_equal(whole(source), VALUES)
    assert info.wavelengths_nm == pytest.approx((400, 500, 600, 700, 800, 900, 1000))
    assert info.fwhm_nm == pytest.approx((10.5,) * 7)
    assert info.good_bands == (True, True, False, True, True, True, False)
    assert (info.scale, info.offset, info.nodata, info.unit) == (0.0001, 0.5, -9999, "1")
    assert CRS.from_wkt(info.crs_wkt).to_epsg() == 32633
    assert info.transform == pytest.approx((30, 0, 300_000, 0, -30, 5_000_000))
    assert source.acquired_at.isoformat() == "2023-03-16T04:51:53+00:00"


def test_latitudes_and_longitudes_are_a_place(tmp_path):
    def write(file):
        for name, size in (("band", 7), ("lat", 30), ("lon", 21)):
            file.createDimension(name, size)
        file.createVariable("cube", "i2", ("band", "lat", "lon"))[:] = VALUES
        file.createVariable("lat", "f8", ("lat",))[:] = 52.0 - 0.1 * np.arange(30)
        file.createVariable("lon", "f8", ("lon",))[:] = 13.0 + 0.2 * np.arange(21)
        file.createVariable("wavelengths", "f4", ("band",))[:] = np.arange(7) * 10 + 400

    info = opened([netcdf(tmp_path, write)]).info
    assert CRS.from_wkt(info.crs_wkt).to_epsg() == 4326
    assert info.transform == pytest.approx((0.2, 0, 12.9, 0, -0.1, 52.05))
    assert info.wavelengths_nm == pytest.approx(np.arange(7) * 10 + 400)


def test_a_dimension_without_a_variable_has_no_wavelengths(tmp_path):
    def write(file):
        for name, size in (("wavelength", 7), ("y", 30), ("x", 21)):
            file.createDimension(name, size)
        file.createVariable("cube", "i2", ("wavelength", "y", "x"))[:] = VALUES

    info = opened([netcdf(tmp_path, write)]).info
    assert info.shape == VALUES.shape
    assert info.wavelengths_nm is None
    assert info.transform is None


@pytest.mark.parametrize(
    ("unit", "values", "expected"),
    [
        ("nm", range(400, 407), tuple(range(400, 407))),
        (None, [0.4] * 7, (400,) * 7),
        (np.bytes_(b"\xb5m"), [0.4] * 7, (400,) * 7),
        (np.array(b"\xb5m", h5py.string_dtype()), [0.4] * 7, (400,) * 7),
        (np.bytes_("μm".encode()), [0.4] * 7, (400,) * 7),
        ("Ångström", [4000] * 7, (400,) * 7),
        ("cm-1", range(7), None),
    ],
    ids=["nm", "none", "latin-1", "latin-1-as-utf-8", "mu", "angstrom", "wavenumber"],
)
def test_units_of_wavelengths(unit, values, expected):
    def write(file):
        file["cube"] = VALUES
        file["wavelength"] = np.array(values, float)
        if unit is not None:
            file["wavelength"].attrs["units"] = unit

    found = opened([h5(write)], axes="byx").info.wavelengths_nm
    assert found == (expected and pytest.approx(expected))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("scale_factor", 0.0, "scale_factor = 0.0"),
        ("scale_factor", "many", "'many'; a number is right"),
        ("_FillValue", [1, 2], "a number is right"),
        ("add_offset", np.nan, "add_offset = nan"),
        ("scale_factor", [0.5] * 6, "scale_factor has 6 numbers; .* each of the 7 bands"),
        ("scale_factor", [1, 2, 0, 4, 5, 6, 7], "scale_factor = 0.0 of band 3 cannot be"),
        ("add_offset", [0, 0, 0, 0, np.inf, 0, 0], "add_offset = inf of band 5 cannot be"),
        ("add_offset", np.array([b"a"] * 7), "a number is right"),
    ],
)
def test_attributes_that_cannot_be(name, value, message):
    def write(file):
        file["cube"] = VALUES
        file["cube"].attrs[name] = value

    with pytest.raises(HeaderMismatch, match=message):
        opened([h5(write)], axes="byx")


@pytest.mark.parametrize("axes", ["byx", "yxb"])
def test_scales_and_offsets_in_lists(tmp_path, axes):
    scales = [0.5, 0.25, 2.0, 1.0, 0.5, 4.0, 8.0]

    def write(file):
        for name, size in zip("byx", VALUES.shape, strict=True):
            file.createDimension({"b": "band"}.get(name, name), size)
        cube = file.createVariable("cube", "i2", [{"b": "band"}.get(a, a) for a in axes])
        cube[:] = VALUES.transpose(["byx".index(axis) for axis in axes])
        cube.scale_factor, cube.add_offset = np.array(scales), np.array([-1.5], np.float32)

    source = opened([netcdf(tmp_path, write)])
    assert (source.info.scale, source.info.offset) == (tuple(scales), -1.5)
    np.testing.assert_array_equal(whole(source), VALUES)


def test_empty_attributes_say_nothing():
    def write(file):
        file["cube"] = VALUES
        file["cube"].attrs["units"] = h5py.Empty("S1")
        file["cube"].attrs["scale_factor"] = np.zeros(0)

    info = opened([h5(write)], axes="byx").info
    assert (info.unit, info.scale) == (None, 1.0)


def test_a_time_that_is_in_no_year_of_utc_is_not_said():
    def write(file):
        file["cube"] = VALUES
        file.attrs["start_time"] = "0001-01-01T00:00:00+01:00"

    assert opened([h5(write)], axes="byx").acquired_at is None


def test_lists_of_the_same_and_of_one_are_one_number():
    def write(file):
        file["cube"] = VALUES
        file["cube"].attrs["scale_factor"] = np.full((7, 1, 1), 0.1)
        file["cube"].attrs["add_offset"] = [3]

    info = opened([h5(write)], axes="byx").info
    assert (info.scale, info.offset) == (0.1, 3.0)


def test_wavelengths_that_are_no_numbers():
    def write(file):
        file["cube"] = VALUES
        file["wavelength"] = np.full(7, np.nan)

    with pytest.raises(HeaderMismatch, match="wavelength holds something that is no number"):
        opened([h5(write)], axes="byx")


def test_only_what_is_needed_is_read():
    values = np.random.default_rng(0).integers(0, 9, (40, 128, 128)).astype(np.uint8)
    file = h5(lambda f: f.create_dataset("cube", data=values, chunks=(4, 64, 64)))
    source = opened([file], axes="byx")
    file.reads.clear()
    np.testing.assert_array_equal(
        source.read(slice(8, 12), slice(0, 64), slice(64, 128)), values[8:12, :64, 64:]
    )
    assert sum(length for _, length in file.reads) < 3 * 4 * 64 * 64
    assert source.axes == "byx"

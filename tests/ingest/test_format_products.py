"""Products of EMIT, PRISMA, EnMAP and Hyperion, laid out in the tests as their agencies do."""

import h5py
import netCDF4
import numpy as np
import pytest
import rasterio
from rasterio.crs import CRS

from hsis_ingest.errors import (
    ExternalReference,
    HeaderMismatch,
    MissingData,
    TruncatedFile,
    UnsupportedFormat,
    VariableNeeded,
)
from hsis_ingest.footprint import footprint
from tests.ingest.files import MemoryFile, file_of, opened, whole
from tests.ingest.hdf5_files import h5

RNG = np.random.default_rng(8)


@pytest.mark.parametrize("name", ["radiance", "reflectance"])
def test_emit(tmp_path, name):
    cube = RNG.random((9, 11, 6)).astype(np.float32)  # downtrack, crosstrack, bands
    row, column = np.mgrid[0:9, 0:11]
    longitudes, latitudes = 10 + column * 0.1 + row * 0.02, 50 - row * 0.1 + column * 0.01
    path = tmp_path / "EMIT_L2A_RFL_001_20230316T045153_2307503_005.nc"
    with netCDF4.Dataset(path, "w") as file:
        file.time_coverage_start = "2023-03-16T04:51:53+0000"
        for dimension, size in (("downtrack", 9), ("crosstrack", 11), ("bands", 6), ("ortho_y", 4),
                                ("ortho_x", 5)):  # fmt: skip
            file.createDimension(dimension, size)
        values = file.createVariable(
            name, "f4", ("downtrack", "crosstrack", "bands"), zlib=True, fill_value=-9999,
            chunksizes=(4, 11, 6),
        )  # fmt: skip
        values[:] = cube
        values.units = "uW/cm^2/SR/nm"
        bands = file.createGroup("sensor_band_parameters")
        for variable, content in (
            ("wavelengths", np.linspace(381, 2493, 6)),
            ("fwhm", np.full(6, 8.4)),
            ("good_wavelengths", [1, 1, 1, 0, 0, 1]),
        ):
            created = bands.createVariable(variable, "f4", ("bands",), fill_value=-9999)
            created[:] = content
            created.units = "nm" if variable != "good_wavelengths" else "unitless"
        place = file.createGroup("location")
        for variable, content in (("lon", longitudes), ("lat", latitudes)):
            place.createVariable(variable, "f8", ("downtrack", "crosstrack"))[:] = content
        place.createVariable("glt_x", "i4", ("ortho_y", "ortho_x"))[:] = 1
    source = opened([file_of(path)])
    info = source.info
    assert source.format_name == "EMIT"
    np.testing.assert_array_equal(whole(source), cube.transpose(2, 0, 1))
    assert info.wavelengths_nm == pytest.approx(np.linspace(381, 2493, 6))
    assert info.fwhm_nm == pytest.approx((8.4,) * 6)
    assert info.good_bands == (True, True, True, False, False, True)
    assert (info.nodata, info.unit) == (-9999, "uW/cm^2/SR/nm")
    assert source.acquired_at.isoformat() == "2023-03-16T04:51:53+00:00"
    found = footprint(info, source.outline)
    ring = [(10, 50), (10.16, 49.2), (11.16, 49.3), (11, 50.1), (10, 50)]
    np.testing.assert_allclose(found.geometry["coordinates"][0], ring)
    assert found.proj_code is None
    assert found.bbox == pytest.approx((10, 49.2, 11.16, 50.1))


VNIR = RNG.integers(1, 65536, (5, 6, 7)).astype(np.uint16)  # y, band, x
SWIR = RNG.integers(1, 65536, (5, 4, 7)).astype(np.uint16)
WAVELENGTHS = {"Vnir": [0, 0, 970, 800, 600, 400], "Swir": [2500, 1500, 950, 0]}
ORDER = [("V", 5), ("V", 4), ("V", 3), ("S", 2), ("V", 2), ("S", 1), ("S", 0)]
"""The bands by wavelength: 400, 600, 800, 950 (SWIR), 970 (VNIR), 1500, 2500 nm."""
JOINED = np.stack([(VNIR if which == "V" else SWIR)[:, index] for which, index in ORDER])


def prisma(level="2D", *, leave_out=(), swir=SWIR, **attributes):
    values = {
        f"List_{what}_{name}": np.array(numbers, "f4")
        for name, wavelengths in WAVELENGTHS.items()
        for what, numbers in (("Cw", wavelengths), ("Fwhm", np.array(wavelengths) / 100))
    }
    values |= {
        f"List_Cw_{name}_Flags": np.array([w not in {0, 1500} for w in wavelengths], "u1")
        for name, wavelengths in WAVELENGTHS.items()
    }
    if level == "1":
        values |= {f"ScaleFactor_{name}": np.float32(100) for name in WAVELENGTHS}
        values |= {f"Offset_{name}": np.float32(0.5) for name in WAVELENGTHS}
    else:
        values |= {f"L2Scale{name}Min": np.float32(0) for name in WAVELENGTHS}
        values |= {f"L2Scale{name}Max": np.float32(1) for name in WAVELENGTHS}
    values |= {
        "Product_StartTime": np.bytes_("2022-06-01T10:11:12.5"),
        "Epsg_Code": np.int32(32632),
        "Product_ULcorner_easting": 500_000.0,
        "Product_ULcorner_northing": 4_500_000.0,
        "Product_LRcorner_easting": 500_180.0,
        "Product_LRcorner_northing": 4_499_880.0,
    } | attributes

    def write(file):
        for name, value in values.items():
            if name not in leave_out:
                file.attrs[name] = value
        swath = file.create_group(f"HDFEOS/SWATHS/PRS_L{level}_HCO")
        fields = swath.create_group("Data Fields")
        fields.create_dataset("VNIR_Cube", data=VNIR, chunks=(2, 6, 7), compression="gzip")
        fields["SWIR_Cube"] = swir
        fields["VNIR_PIXEL_L2_ERR_MATRIX"] = np.zeros(VNIR.shape, "u1")
        row, column = np.mgrid[0:5, 0:7]
        for name, numbers in (("Latitude", 45 - row * 0.1), ("Longitude", 9 + column * 0.1)):
            swath[f"Geolocation Fields/{name}"] = numbers.astype("f4")
        file[f"HDFEOS/SWATHS/PRS_L{level}_PCO/Data Fields/Cube"] = np.zeros((10, 14), "u2")

    return h5(write, "PRS.he5")


def test_prisma_level_2d():
    source = opened([prisma()])
    info = source.info
    assert source.format_name == "PRISMA L2D"
    assert info.wavelengths_nm == (400, 600, 800, 950, 970, 1500, 2500)
    assert info.fwhm_nm == pytest.approx((4, 6, 8, 9.5, 9.7, 15, 25))
    assert info.good_bands == (True,) * 5 + (False, True)
    assert info.dtype == np.uint16
    assert (info.scale, info.offset, info.nodata) == (pytest.approx(1 / 65535), 0, 0)
    assert CRS.from_wkt(info.crs_wkt).to_epsg() == 32632
    # The corners are centres of pixels: six steps of 30 m across, four down.
    assert info.transform == pytest.approx((30, 0, 499_985, 0, -30, 4_500_015))
    assert source.acquired_at.isoformat() == "2022-06-01T10:11:12.500000+00:00"
    np.testing.assert_array_equal(whole(source), JOINED)
    part = source.read(slice(2, 6), slice(1, 4), slice(3, 7))
    np.testing.assert_array_equal(part, JOINED[2:6, 1:4, 3:7])
    np.testing.assert_array_equal(source.read(slice(5, 7), slice(0, 5), slice(0, 7)), JOINED[5:7])


def test_prisma_cubes_of_different_scales_keep_their_numbers():
    source = opened([prisma(L2ScaleSwirMax=np.float32(0.5), L2ScaleSwirMin=np.float32(-0.25))])
    info = source.info
    assert (info.dtype, info.nodata) == (np.uint16, 0)
    np.testing.assert_array_equal(whole(source), JOINED)
    scales = {"V": 1 / 65535, "S": 0.75 / 65535}
    assert info.scale == pytest.approx([scales[which] for which, _ in ORDER], rel=1e-12)
    assert info.offset == tuple({"V": 0, "S": -0.25}[which] for which, _ in ORDER)
    alone = opened([prisma(L2ScaleSwirMax=np.float32(0.5))], variable="SWIR_Cube")
    np.testing.assert_array_equal(whole(alone), JOINED[[3, 5, 6]])
    assert alone.info.scale == pytest.approx(0.5 / 65535)


def test_prisma_level_1_with_a_scale_of_each_detector():
    # L1 says the radiance's factors as DN / factor - offset.
    info = opened([prisma("1", ScaleFactor_Swir=np.float32(400))]).info
    assert info.scale == pytest.approx([{"V": 0.01, "S": 0.0025}[which] for which, _ in ORDER])
    assert info.offset == -0.5


def test_prisma_level_1():
    source = opened([prisma("1")])
    assert source.format_name == "PRISMA L1"
    assert (source.info.scale, source.info.offset) == (pytest.approx(0.01), pytest.approx(-0.5))
    assert source.info.nodata is None
    assert source.info.transform is None
    np.testing.assert_array_equal(whole(source), JOINED)
    corners = [(9, 45), (9, 44.6), (9.6, 44.6), (9.6, 45)]
    assert np.array(source.outline) == pytest.approx(np.array(corners), abs=1e-5)


def test_another_array_of_a_prisma_file_by_its_path():
    path = "HDFEOS/SWATHS/PRS_L2D_HCO/Data Fields/VNIR_Cube"
    np.testing.assert_array_equal(
        whole(opened([prisma()], variable=path, axes="ybx")), VNIR.transpose(1, 0, 2)
    )
    with pytest.raises(VariableNeeded, match="no dataset 'PAN'"):
        opened([prisma()], variable="PAN")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"leave_out": ("List_Cw_Vnir",)}, "List_Cw_Vnir has no 6 numbers"),
        ({"leave_out": ("L2ScaleSwirMax",)}, "says no L2ScaleSwirMax"),
        ({"List_Cw_Swir": np.ones(9)}, "List_Cw_Swir has no 4 numbers"),
        ({"List_Cw_Swir": np.full(4, np.nan)}, "no number"),
        ({"Epsg_Code": 1}, "Epsg_Code"),
        ({"swir": SWIR.astype(np.float32)}, "values of different types"),
        (
            {"List_Cw_Swir": np.zeros(4), "List_Cw_Vnir": np.zeros(6)},
            "no band has a wavelength above 0",
        ),
    ],
)
def test_a_prisma_file_that_cannot_be(arguments, message):
    with pytest.raises(HeaderMismatch, match=message):
        opened([prisma(**arguments)])


def test_a_prisma_file_without_cubes():
    file = h5(lambda f: f.create_group("HDFEOS/SWATHS/PRS_L1_HCO/Data Fields"), "PRS.he5")
    with pytest.raises(HeaderMismatch, match="no VNIR_Cube"):
        opened([file])


CUBE = RNG.integers(-100, 9000, (4, 8, 9)).astype(np.int16)
PREFIX = "ENMAP01-____L2A-DT0000001867_20220724T104526Z_008_V010302_20230628T165614Z"


def enmap_metadata(bands=4, level="L2A", gains=(0.0001,) * 4, start=""):
    entries = "".join(
        f'<bandID number="{n}"><wavelengthCenterOfBand>{400 + 100.5 * n}</wavelengthCenterOfBand>'
        f"<FWHMOfBand>{6 + n}</FWHMOfBand><GainOfBand>{gains[n - 1]}</GainOfBand>"
        "<OffsetOfBand>0</OffsetOfBand></bandID>"
        for n in reversed(range(1, bands + 1))
    )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>{start}<level_X><base><level>{level}</level>'
        "<temporalCoverage><startTime>2022-07-24T10:45:26.127Z</startTime></temporalCoverage></base>"
        f"<specific><bandCharacterisation>{entries}</bandCharacterisation>"
        "<backgroundValue>-32768</backgroundValue>"
        "<vnirProductQuality><expectedChannelsList>1, 2,\n</expectedChannelsList>"
        "</vnirProductQuality>"
        "<swirProductQuality><expectedChannelsList>4</expectedChannelsList></swirProductQuality>"
        "</specific></level_X>"
    ).encode()


@pytest.fixture(scope="module")
def enmap_image(tmp_path_factory):
    path = tmp_path_factory.mktemp("enmap") / f"{PREFIX}-SPECTRAL_IMAGE.TIF"
    with rasterio.open(
        path, "w", driver="GTiff", count=4, height=8, width=9, dtype="int16", crs="EPSG:32633",
        transform=rasterio.Affine(30, 0, 300000, 0, -30, 5800000), tiled=True, blockxsize=16,
        blockysize=16, compress="deflate",
    ) as dataset:  # fmt: skip
        dataset.write(CUBE)
    return path


def test_enmap_level_2a(enmap_image):
    files = [
        MemoryFile(f"{PREFIX}-METADATA.XML", enmap_metadata()),
        file_of(enmap_image),
        MemoryFile(f"{PREFIX}-QL_QUALITY_CLOUD.TIF", b"II*\0"),
        MemoryFile(f"{PREFIX}-HISTORY.XML", b"<history/>"),
    ]
    source = opened(files)
    info = source.info
    assert source.format_name == "EnMAP L2A"
    np.testing.assert_array_equal(whole(source), CUBE)
    assert info.wavelengths_nm == pytest.approx((500.5, 601, 701.5, 802))
    assert info.fwhm_nm == (7, 8, 9, 10)
    assert info.good_bands == (True, True, False, True)
    assert (info.scale, info.offset, info.nodata, info.unit) == (0.0001, 0, -32768, "1")
    assert CRS.from_wkt(info.crs_wkt).to_epsg() == 32633
    assert source.acquired_at.isoformat() == "2022-07-24T10:45:26.127000+00:00"


def test_enmap_bands_of_different_gains(enmap_image):
    metadata = enmap_metadata(level="L1C", gains=(0.01, 0.02, 0.03, 0.04))
    source = opened([MemoryFile(f"{PREFIX}-METADATA.XML", metadata), file_of(enmap_image)])
    np.testing.assert_array_equal(whole(source), CUBE)
    assert source.info.unit == "W m-2 sr-1 nm-1"
    assert (source.info.scale, source.info.offset) == ((0.01, 0.02, 0.03, 0.04), 0)


ENTITIES = (
    '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">'
    '<!ENTITY c SYSTEM "file:///etc/passwd">]>'
)


@pytest.mark.parametrize(
    ("metadata", "error", "message"),
    [
        (enmap_metadata(bands=3), HeaderMismatch, "describes 3 bands; the image has 4"),
        (enmap_metadata(gains=("nan",) * 4), HeaderMismatch, "GainOfBand is 'nan'"),
        (enmap_metadata(level=""), HeaderMismatch, "base/level"),
        (enmap_metadata(start=ENTITIES), UnsupportedFormat, "entities or a document type"),
        (enmap_metadata()[:-20], TruncatedFile, "damaged or truncated"),
        (b"<kml></kml>", UnsupportedFormat, "its root is kml"),
        (b"<level_X>\xff\xfe</level_X>", TruncatedFile, "damaged"),
    ],
)
def test_enmap_metadata_that_cannot_be(enmap_image, metadata, error, message):
    with pytest.raises(error, match=message):
        opened([MemoryFile(f"{PREFIX}-METADATA.XML", metadata), file_of(enmap_image)])


def test_an_enmap_product_without_its_image(enmap_image):
    metadata = MemoryFile(f"{PREFIX}-METADATA.XML", enmap_metadata())
    with pytest.raises(MissingData, match=r"SPECTRAL_IMAGE.TIF"):
        opened([metadata])
    detectors = [
        MemoryFile(f"{PREFIX}-SPECTRAL_IMAGE_{name}.TIF", enmap_image.read_bytes())
        for name in ("VNIR", "SWIR")
    ]
    with pytest.raises(MissingData, match="level 1C or 2A"):
        opened([metadata, *detectors])


def test_a_link_out_of_a_prisma_file():
    def write(file):
        file["HDFEOS"] = h5py.ExternalLink("/etc/passwd", "/")

    with pytest.raises(ExternalReference, match="link to the file"):
        opened([h5(write)])


HYPERION = "EO1H0380342005105110KF"
HYPERION_BANDS = (1, 57, 70, 71, 242)


def hyperion_metadata(name="MTL_L1T.TXT", **changes):
    """As the USGS writes it, with few of its groups."""
    fields = {
        "PRODUCT_TYPE": '"L1T"', "SPACECRAFT_ID": '"EO1"', "SENSOR_ID": '"HYPERION"',
        "ACQUISITION_DATE": "2005-04-15", "START_TIME": '"2005 105 17:53:17.500"',
        "BAND57_FILE_NAME": '"infrared.TIF"', "SCALING_FACTOR_VNIR": "40.000000",
        "SCALING_FACTOR_SWIR": "80.000000", "SENSOR_LOOK_ANGLE": "-12.5000",
        "SUN_AZIMUTH": "-140.25", "SUN_ELEVATION": "55.5",
    } | changes  # fmt: skip
    lines = [f"    {field} = {value}" for field, value in fields.items()]
    group = ["GROUP = L1_METADATA_FILE", "  GROUP = PRODUCT_METADATA"]
    text = "\r\n".join([*group, *lines, "  END_GROUP = PRODUCT_METADATA", "END", ""])
    return MemoryFile(f"{HYPERION}_{name}", text.encode())


def hyperion_image(folder, name, values):
    with rasterio.open(
        folder / name, "w", driver="GTiff", count=len(values), height=6, width=7, crs="EPSG:32612",
        dtype=values.dtype, transform=rasterio.Affine(30, 0, 300000, 0, -30, 4200000),
    ) as dataset:  # fmt: skip
        dataset.write(values)
    return file_of(folder / name)


@pytest.fixture
def hyperion_files(tmp_path):
    """One image a band, in no order of names; their values."""
    values = RNG.integers(-100, 9000, (5, 6, 7)).astype(np.int16)
    names = [f"{HYPERION}_B{number:03d}_L1T.TIF" for number in HYPERION_BANDS]
    names[1] = "INFRARED.TIF"
    files = [
        hyperion_image(tmp_path, name, values[place : place + 1])
        for place, name in enumerate(names)
    ]
    return [*reversed(files), MemoryFile("README.txt", b"USGS")], values


def test_hyperion_of_one_image_a_band(hyperion_files):
    files, values = hyperion_files
    source = opened([*files, hyperion_metadata()])
    info = source.info
    np.testing.assert_array_equal(whole(source), values)
    assert source.format_name == "Hyperion L1T"
    assert info.wavelengths_nm == (355.59, 925.41, 1057.68, 851.92, 2577.08)
    assert info.fwhm_nm == (11.3871, 11.2754, 11.2754, 11.0457, 10.4077)
    assert info.good_bands == (False, True, False, False, False)
    assert info.band_names == ("B001", "B057", "B070", "B071", "B242")
    assert (info.scale, info.offset) == ((1 / 40, 1 / 40, 1 / 40, 1 / 80, 1 / 80), 0)
    assert (info.unit, info.nodata) == ("W m-2 sr-1 um-1", 0)
    assert CRS.from_wkt(info.crs_wkt).to_epsg() == 32612
    assert source.acquired_at.isoformat() == "2005-04-15T17:53:17.500000+00:00"  # day 105
    assert source.properties == {
        "platform": "eo-1", "instruments": ["hyperion"], "processing:level": "L1T",
        "view:sun_azimuth": 219.75, "view:sun_elevation": 55.5, "view:off_nadir": 12.5,
        "hsi:look_angle": -12.5,
    }  # fmt: skip


def test_hyperion_of_one_image_of_all_bands(tmp_path):
    values = np.arange(242 * 42, dtype=np.int16).reshape(242, 6, 7)
    metadata = hyperion_metadata("MTL.TXT", PRODUCT_TYPE='"L1GST"', START_TIME='"noon"')
    source = opened([hyperion_image(tmp_path, "scene.tif", values), metadata])
    np.testing.assert_array_equal(whole(source), values)
    assert (source.format_name, source.acquired_at) == ("Hyperion L1GST", None)
    assert source.info.scale == (1 / 40,) * 70 + (1 / 80,) * 172
    assert source.info.wavelengths_nm[199] == 2153.34
    assert [n for n, good in enumerate(source.info.good_bands, 1) if good] == [
        *range(8, 58),
        *range(77, 225),
    ]
    fewer = opened([hyperion_image(tmp_path, "fewer.tif", values[:9]), metadata])
    assert (fewer.info.wavelengths_nm, fewer.info.scale) == (None, 1)  # which ones they are
    radiance = values.astype(np.float32) / 40
    computed = opened([hyperion_image(tmp_path, "radiance.tif", radiance), metadata])
    assert (computed.info.scale, computed.info.unit) == (1, None)
    assert computed.info.wavelengths_nm[0] == 355.59


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"SCALING_FACTOR_VNIR": "0"}, HeaderMismatch, "SCALING_FACTOR_VNIR = '0'; .* above 0"),
        ({"SCALING_FACTOR_SWIR": "5e-324"}, HeaderMismatch, "SCALING_FACTOR_SWIR = '5e-324'"),
        ({"SUN_ELEVATION": "high"}, HeaderMismatch, "'high'; a number from -90 to 90"),
        ({"BAND70_FILE_NAME": '"infrared.tif"'}, UnsupportedFormat, "both band 70"),
    ],
)
def test_hyperion_metadata_that_cannot_be(hyperion_files, changes, error, message):
    with pytest.raises(error, match=message):
        opened([*hyperion_files[0], hyperion_metadata(**changes)])


@pytest.mark.parametrize("level", ["L1\0T", "L" * 400, "<b>L1T</b>"])
def test_a_level_that_is_none_is_not_said(hyperion_files, level):
    """Postgres holds no NUL, and no page shows so long a text."""
    metadata = hyperion_metadata(PRODUCT_TYPE=f'"{level}"', SUN_AZIMUTH="213.5")
    source = opened([*hyperion_files[0], metadata])
    assert source.format_name == "Hyperion"
    assert "processing:level" not in source.properties
    assert source.properties["view:sun_azimuth"] == 213.5


def test_hyperion_products_that_are_not_one(hyperion_files):
    files, _ = hyperion_files
    with pytest.raises(MissingData, match=r"images .* `…_B001_L1T.TIF`"):
        opened([hyperion_metadata()])
    with pytest.raises(UnsupportedFormat, match="products of their own"):
        opened([*files, hyperion_metadata(), hyperion_metadata("MTL_L1GST.TXT")])
    # Metadata of another sensor leave the images what they are.
    other = hyperion_metadata(SENSOR_ID='"ALI"')
    assert opened([*files[:3], other]).format_name == "GeoTIFF band stack"

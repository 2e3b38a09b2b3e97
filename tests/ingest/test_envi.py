"""ENVI against files written by spectral, GDAL and numpy."""

import numpy as np
import pytest
import rasterio
import spectral
from hypothesis import given
from hypothesis import strategies as st
from rasterio.crs import CRS

from hsis_ingest.detect import open_source
from hsis_ingest.errors import HeaderMismatch, TruncatedFile, UnsupportedFormat
from hsis_ingest.formats.envi_header import parse_fields, parse_header
from hsis_ingest.formats.source import ReadOptions
from tests.ingest.files import MemoryFile, open_files, whole

CODES = {1: "u1", 2: "i2", 3: "i4", 4: "f4", 5: "f8", 6: "c8", 9: "c16", 12: "u2", 13: "u4",
         14: "i8", 15: "u8"}  # fmt: skip
BASE = "ENVI\nsamples = 3\nlines = 2\nbands = 2\ndata type = 1\ninterleave = bsq\n"


def header(extra: str = "", base: str = BASE):
    return parse_header((base + extra).encode(), "cube.hdr")


def opened(extra: str = "", size: int = 12):
    files = [MemoryFile("c.hdr", (BASE + extra).encode()), MemoryFile("c.raw", bytes(size))]
    return open_source(files, ReadOptions())


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("interleave", ["bsq", "bil", "bip"])
@pytest.mark.parametrize("order", [0, 1])
def test_files_of_spectral(tmp_path, code, interleave, order):
    rng = np.random.default_rng(code)
    dtype = np.dtype(CODES[code])
    cube = rng.integers(0, 255, (4, 5, 3)).astype(dtype)  # rows, columns, bands
    if dtype.kind == "c":
        cube += np.array(1j, dtype) * rng.integers(0, 9, cube.shape).astype(dtype)
    path = tmp_path / "cube.hdr"
    spectral.envi.save_image(
        str(path), cube, dtype=dtype, interleave=interleave, byteorder=order, ext="img"
    )
    source = open_files(path, tmp_path / "cube.img")
    values = whole(source)
    assert values.dtype == dtype
    assert source.info.dtype == dtype
    np.testing.assert_array_equal(values, cube.transpose(2, 0, 1))
    np.testing.assert_array_equal(
        source.read(slice(1, 2), slice(2, 4), slice(1, 5)), cube[2:4, 1:5, 1:2].transpose(2, 0, 1)
    )


@pytest.mark.parametrize(
    ("unit", "values", "expected"),
    [
        ("Nanometers", "400, 500.5", (400, 500.5)),
        ("nm", "400, 500.5", (400, 500.5)),
        ("Micrometers", "0.4, 0.5", (400, 500)),
        ("µm", "0.4, 0.5", (400, 500)),
        ("um", "0.4, 0.5", (400, 500)),
        ("Unknown", "400, 500", (400, 500)),
        ("", "0.4, 0.5", (400, 500)),
        ("Wavenumber", "4000, 5000", None),
    ],
)
def test_wavelengths_are_nanometres(unit, values, expected):
    found = header(
        f"Wavelength  Units = {unit}\nwavelength = {{\n {values} }}\nfwhm = {{{values}}}"
    )
    assert found.wavelengths_nm == (expected and pytest.approx(expected))
    assert found.fwhm_nm == (expected and pytest.approx(expected))


def test_what_a_header_says_of_its_bands():
    source = opened(
        "; a comment = of no use\nbbl = {1, 0}\nBAND NAMES = {\n red,\n; inside\n near  infrared}\n"
        "data ignore value = -9999\nreflectance scale factor = 10000\n"
        "acquisition time = 2022-07-24T10:45:26.5Z\nbyte order = 0\n"
    )
    info = source.info
    assert info.good_bands == (True, False)
    assert info.band_names == ("red", "near infrared")
    assert info.nodata == -9999
    assert info.scale == pytest.approx(0.0001)
    assert source.acquired_at.isoformat() == "2022-07-24T10:45:26.500000+00:00"


@pytest.mark.parametrize("crs", ["EPSG:32633", "EPSG:32733", "EPSG:4326", "EPSG:3035"])
def test_place_is_what_gdal_wrote_and_reads(tmp_path, crs):
    transform = rasterio.Affine(0.5, 0, 13.25, 0, -0.25, 52.5)
    path = tmp_path / "cube.img"
    with rasterio.open(
        path, "w", driver="ENVI", width=4, height=3, count=2, dtype="int16", crs=crs,
        transform=transform,
    ) as dataset:  # fmt: skip
        dataset.write(np.arange(24, dtype=np.int16).reshape(2, 3, 4))
    source = open_files(path, tmp_path / "cube.hdr")
    with rasterio.open(path) as dataset:
        assert source.info.transform == pytest.approx(tuple(dataset.transform)[:6])
        np.testing.assert_array_equal(whole(source), dataset.read())
    assert CRS.from_wkt(source.info.crs_wkt) == CRS.from_string(crs)


def test_map_info_alone_gives_utm():
    info = opened("map info = {UTM, 2, 3, 500000, 4000000, 30, 20, 17, South, WGS-84}").info
    assert CRS.from_wkt(info.crs_wkt).to_epsg() == 32717
    # The reference pixel (2, 3) counts from 1: its corner is one pixel right, two down.
    assert info.transform == (30, 0, 499970, 0, -20, 4000040)


def test_a_turned_map_is_what_gdal_reads(tmp_path):
    extra = "map info = {UTM, 1, 1, 500000, 4000000, 30, 20, 17, North, WGS-84, rotation=30}\n"
    (tmp_path / "c.hdr").write_text(BASE + "byte order = 0\n" + extra)
    (tmp_path / "c.img").write_bytes(bytes(12))
    with rasterio.open(tmp_path / "c.img") as dataset:
        expected = tuple(dataset.transform)[:6]
    assert opened(extra).info.transform == pytest.approx(expected)


def test_an_arbitrary_map_is_no_place():
    info = opened("map info = {Arbitrary, 1, 1, 0, 0, 1, 1, 0, North}").info
    assert info.crs_wkt is None
    assert info.transform is None


def test_too_short_and_too_long_data_say_expected_and_found_bytes():
    with pytest.raises(TruncatedFile, match=r"c\.raw has 11 bytes; c\.hdr says 12"):
        opened(size=11)
    with pytest.raises(HeaderMismatch, match=r"c\.raw has 13 bytes; c\.hdr says 12"):
        opened(size=13)
    with pytest.raises(TruncatedFile, match=r"has 12 bytes; c.hdr says 20 .* offset of 8"):
        opened("header offset = 8\n")


@pytest.mark.parametrize(
    ("extra", "error", "message"),
    [
        ("data type = 7", UnsupportedFormat, "data type = 7"),
        ("interleave = bsp", HeaderMismatch, "bsq, bil or bip"),
        ("byte order = 2", HeaderMismatch, "byte order = 2"),
        ("lines = 0", HeaderMismatch, "lines = 0"),
        ("samples = many", HeaderMismatch, "samples = many"),
        ("wavelength = {1, 2, 3}", HeaderMismatch, "3 values of `wavelength` for 2 bands"),
        ("wavelength = {1, x}", HeaderMismatch, "no number"),
        ("wavelength = {1, nan}", HeaderMismatch, "no number"),
        ("fwhm = {1, 2", HeaderMismatch, "stays open"),
        ("file compression = 1", UnsupportedFormat, "compression"),
        ("reflectance scale factor = 0", HeaderMismatch, "scale factor"),
        ("map info = {UTM, a, 1, 0, 0, 1, 1, 33, North, WGS-84}", HeaderMismatch, "map info"),
    ],
)
def test_a_header_that_cannot_be_says_why(extra, error, message):
    with pytest.raises(error, match=message):
        opened(extra)


def test_a_missing_key_is_named():
    with pytest.raises(HeaderMismatch, match=r"cube.hdr says no `bands`"):
        header(base="ENVI\nsamples = 1\nlines = 1\n")


WORDS = st.text(
    st.characters(codec="utf-8", categories=("L", "N", "Zs"), include_characters="_-+.")
)
KEYS = WORDS.map(lambda word: " ".join(word.lower().split())).filter(bool)
VALUES = WORDS.map(str.strip)


@given(
    st.dictionaries(KEYS, st.one_of(VALUES, st.lists(VALUES.filter(bool), min_size=1))),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
)
def test_fields_survive_any_layout(fields, newline, spread):
    lines = ["ENVI", "; = { a comment"]
    for key, value in fields.items():
        if isinstance(value, list):
            between = f",{newline}  " if spread else ","
            lines.append(f"{key.upper() if key.upper().lower() == key else key} = "
                         f"{{{between.join(value)}}}")  # fmt: skip
        else:
            lines.append(f"{key}={value}")
    parsed = parse_fields(newline.join(lines), "x.hdr")
    assert parsed.keys() == fields.keys()
    for key, value in fields.items():
        if isinstance(value, list):
            assert [entry.strip() for entry in parsed[key].split(",")] == value
        else:
            assert parsed[key] == value


@given(st.binary(max_size=300))
def test_no_bytes_break_the_parser_in_another_way(content):
    with pytest.raises((HeaderMismatch, UnsupportedFormat)):
        parse_header(b"ENVI\n" + content, "x.hdr")

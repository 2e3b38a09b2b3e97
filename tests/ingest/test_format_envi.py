"""The rest of ENVI: classifications by spectral, gains, headers beside data, odd lines."""

import numpy as np
import pytest
import spectral

from hsis.cube.classes import CubeClass
from hsis_ingest.errors import HeaderMismatch, MissingData, UnsupportedFormat
from tests.ingest.files import MemoryFile, file_of, open_files, opened, whole

BASE = "ENVI\nsamples = 3\nlines = 2\nbands = 2\ndata type = 1\ninterleave = bsq\n"
ONE_BAND = BASE.replace("bands = 2", "bands = 1") + "file type = ENVI  Classification\n"


def envi(extra, base=BASE, size=12):
    return opened([MemoryFile("c.hdr", (base + extra).encode()), MemoryFile("c.raw", bytes(size))])


def test_a_classification_of_spectral(tmp_path):
    labels = np.array([[0, 1, 2, 1], [2, 2, 0, 1]], np.uint8)
    path = tmp_path / "map.hdr"
    spectral.envi.save_classification(
        str(path), labels, class_names=["Unclassified", "Healthy  crop", "Bare soil"],
        class_colors=[(0, 0, 0), (16, 200, 1), (120, 60, 255)],
    )  # fmt: skip
    source = open_files(path, tmp_path / "map.img")
    np.testing.assert_array_equal(whole(source), labels[None])
    assert source.info.nodata == 0
    assert source.info.classes == (
        CubeClass(1, "Healthy crop", "10C801"),
        CubeClass(2, "Bare soil", "783CFF"),
    )


def test_classes_without_colours_or_names():
    info = envi("classes = 3\nclass names = {soil, grass, water}", ONE_BAND, 6).info
    assert info.nodata is None
    assert [(each.value, each.title) for each in info.classes] == [
        (0, "soil"), (1, "grass"), (2, "water")
    ]  # fmt: skip
    assert len({each.colour for each in info.classes}) == 3
    split = envi("classes = 2\nclass names = {oak, or beech, water}", ONE_BAND, 6).info
    assert [each.title for each in split.classes] == ["Class 0", "Class 1"]
    ignored = envi("classes = 2\ndata ignore value = 1", ONE_BAND, 6).info
    assert (ignored.nodata, [each.value for each in ignored.classes]) == (1, [0])


@pytest.mark.parametrize(
    ("extra", "error", "message"),
    [
        ("classes = 0", HeaderMismatch, "classes = 0"),
        ("classes = many", HeaderMismatch, "classes = many"),
        ("classes = 99999999999", HeaderMismatch, "from 1 to 65536"),
        ("classes = 2\nclass lookup = {0, 0, 0}", HeaderMismatch, "3 values of `class lookup`"),
        ("classes = 1\nclass lookup = {0, 0, 256}", HeaderMismatch, "no 0 to 255"),
        ("classes = 1\nclass lookup = {0, 0, -1}", HeaderMismatch, "no 0 to 255"),
        ("classes = 1\ndata type = 4", UnsupportedFormat, "1 bands of float32"),
        ("classes = 1\nbands = 2", UnsupportedFormat, "one band of integers"),
    ],
)
def test_classes_that_cannot_be(extra, error, message):
    size = 24 if "data type" in extra else 12 if "bands" in extra else 6
    with pytest.raises(error, match=message):
        envi(extra, ONE_BAND, size)


def test_gains_and_offsets_of_all_bands():
    info = envi("data gain values = {0.5, 0.5}\ndata offset values = {-1, -1}").info
    assert (info.scale, info.offset) == (0.5, -1)
    both = envi("data gain values = {0.5, 0.5}\nreflectance scale factor = 10000").info
    assert (both.scale, both.offset) == (0.5, 0)


def test_gains_of_each_band_written_by_spectral(tmp_path):
    counts = np.arange(2 * 3 * 4, dtype=np.uint16).reshape(2, 3, 4)
    gains = [0.025, 0.025, 0.0125, 0.5]  # of two detectors, and a last band of its own
    spectral.envi.save_image(
        str(tmp_path / "c.hdr"), counts, dtype=counts.dtype, ext=".raw",
        metadata={"data gain values": gains, "data offset values": [0, 0, -1.5, 0]},
    )  # fmt: skip
    source = open_files(tmp_path / "c.hdr", tmp_path / "c.raw")
    np.testing.assert_array_equal(whole(source), counts.transpose(2, 0, 1))
    assert source.info.dtype == np.uint16
    assert (source.info.scale, source.info.offset) == (tuple(gains), (0, 0, -1.5, 0))
    one = envi("data offset values = {-1, 2}").info
    assert (one.scale, one.offset) == (1, (-1, 2))


@pytest.mark.parametrize(
    ("extra", "error", "message"),
    [
        ("data gain values = {0.5}", HeaderMismatch, "1 values of `data gain values` for 2 bands"),
        ("data gain values = {2, 0}", HeaderMismatch, "0 for band 2; it multiplies values"),
        ("data offset values = {nan, nan}", HeaderMismatch, "no number"),
        ("major frame offsets = {0, 4}", UnsupportedFormat, "major frame offsets"),
        ("minor frame offsets = {8, 0}", UnsupportedFormat, "minor frame offsets"),
        ("file type = ENVI Spectral Library", UnsupportedFormat, "spectral library.*/spectra"),
    ],
)
def test_what_is_refused(extra, error, message):
    with pytest.raises(error, match=message):
        envi(extra)


def test_frames_without_padding_are_read():
    source = envi("major frame offsets = {0, 0}\nminor frame offsets = {0,0}")
    assert whole(source).shape == (2, 2, 3)


def test_a_spectral_library_of_spectral_is_refused_by_name(tmp_path):
    header = {"wavelength": [400, 500, 600], "wavelength units": "nm"}
    library = spectral.envi.SpectralLibrary(np.ones((2, 3)), header, header)
    library.save(str(tmp_path / "minerals"))
    with pytest.raises(UnsupportedFormat, match=r"minerals.hdr describes a spectral library"):
        open_files(tmp_path / "minerals.hdr", tmp_path / "minerals.sli")


@pytest.mark.parametrize("name", ["scan.hdr", "scan.raw.hdr", "SCAN.HDR"])
def test_a_header_beside_its_data_and_others(name):
    others = [MemoryFile("scan.raw", bytes(range(12))), MemoryFile("scan.png", b"picture"),
              MemoryFile("dark.raw", b"\0")]  # fmt: skip
    source = opened([MemoryFile(name, BASE.encode()), *others])
    np.testing.assert_array_equal(whole(source), np.arange(12).reshape(2, 2, 3))


def test_two_files_that_a_header_could_mean():
    files = [MemoryFile("scan.hdr", BASE.encode()), MemoryFile("scan.raw", bytes(12)),
             MemoryFile("scan.img", bytes(12))]  # fmt: skip
    with pytest.raises(MissingData, match=r"not clear which of scan.raw, scan.img"):
        opened(files)


def test_a_brace_on_the_next_line_and_lists_over_many():
    text = (
        "wavelength units =\nwavelength =\n  { 400.5,\n\n  500 ,\n}\nfwhm =\n{5,6}\n"
        "; bbl =\nbbl = {\n1,\n0}\ndescription =\nband names = {a\n,b}"
    )
    info = envi(text).info
    assert info.wavelengths_nm == (400.5, 500)
    assert info.fwhm_nm == (5, 6)
    assert info.good_bands == (True, False)
    assert info.band_names == ("a", "b")


def test_a_header_in_latin_1_and_utf_8(tmp_path):
    """As a program that writes Latin-1 and one that adds a line leave it."""
    path = tmp_path / "c.hdr"
    metadata = {"wavelength": [0.4, 0.5], "wavelength units": "Q2m", "band names": ["Q0 Q1"] * 2}
    spectral.envi.save_image(
        str(path), np.zeros((3, 4, 2), np.uint8), metadata=metadata, ext=".raw"
    )
    content = path.read_bytes().replace(b"Q0", "grün".encode())
    content = content.replace(b"Q1", b"\xe9\x96").replace(b"Q2", b"\xb5")
    info = opened([MemoryFile("c.hdr", content), file_of(tmp_path / "c.raw")]).info
    assert info.wavelengths_nm == pytest.approx((400, 500))
    assert info.band_names == ("grün é\x96",) * 2


def test_fields_filled_up_with_nul_are_what_they_say():
    info = envi(
        "wavelength units = nm\0\0\nwavelength = {400,500\0}\nband names = {a\0, b\0c}\n"
    ).info
    assert info.wavelengths_nm == (400, 500)
    assert info.band_names == ("a", "b c")


@pytest.mark.parametrize("zone", ["3³", "9" * 5000, "", "99"])
def test_a_utm_zone_that_is_none_is_no_place(zone):
    """The first of these was found by fuzzing."""
    source = envi(f"map info = {{UTM, 1, 1, 500000, 4000000, 30, 30, {zone}, North, WGS-84}}\n")
    assert source.info.crs_wkt is None


def test_a_number_of_classes_with_too_many_digits():
    with pytest.raises(HeaderMismatch, match="an integer from 1 to"):
        envi(f"classes = {'9' * 5000}\n", ONE_BAND, 6)

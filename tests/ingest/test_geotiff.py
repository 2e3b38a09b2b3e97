"""GeoTIFF against rasterio reading the same file from disk."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import numpy as np
import pytest
import rasterio
import tifffile

from hsis_ingest.errors import HeaderMismatch, TruncatedFile, UnsupportedFormat
from tests.ingest.files import MemoryFile, file_of, open_files, opened, whole


def written(path, values, *, tags=(), dataset_tags=None, **profile):
    profile = {
        "driver": "GTiff", "count": values.shape[0], "height": values.shape[1],
        "width": values.shape[2], "dtype": values.dtype, "crs": "EPSG:32633",
        "transform": rasterio.Affine(30, 0, 300000, 0, -30, 5800000),
    } | profile  # fmt: skip
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(values)
        for band, entry in enumerate(tags, start=1):
            dataset.update_tags(band, **entry)
        dataset.update_tags(**(dataset_tags or {}))
    return path


@pytest.fixture
def values():
    return np.random.default_rng(1).integers(0, 9999, (5, 70, 90)).astype(np.int16)


@pytest.mark.parametrize(
    "profile",
    [
        {"interleave": "band"},
        {"interleave": "pixel"},
        {"tiled": True, "blockxsize": 32, "blockysize": 16, "compress": "deflate", "predictor": 2},
        {"BIGTIFF": "YES", "compress": "lzw"},
        {"ENDIANNESS": "BIG"},
    ],
    ids=str,
)
def test_values_and_windows(tmp_path, values, profile):
    path = written(tmp_path / "cube.tif", values, **profile)
    source = open_files(path)
    np.testing.assert_array_equal(whole(source), values)
    part = source.read(slice(1, 4), slice(10, 41), slice(33, 90))
    np.testing.assert_array_equal(part, values[1:4, 10:41, 33:90])
    assert part.dtype == values.dtype


def test_only_what_is_needed_is_read(tmp_path):
    values = np.ones((50, 200, 200), np.uint8)
    file = file_of(written(tmp_path / "cube.tif", values, interleave="band", blockysize=200))
    source = opened([file])
    file.reads.clear()
    source.read(slice(3, 4), slice(0, 200), slice(0, 200))
    assert sum(length for _, length in file.reads) < 2 * 200 * 200 + 20_000


def test_reads_come_from_any_thread(tmp_path, values):
    source = open_files(written(tmp_path / "cube.tif", values, blockysize=8))
    with ThreadPoolExecutor(4) as threads:
        parts = list(
            threads.map(
                lambda y: source.read(slice(0, 5), slice(y, y + 7), slice(0, 90)), range(63)
            )
        )
    for y, part in enumerate(parts):
        np.testing.assert_array_equal(part, values[:, y : y + 7])


def test_tags_of_bands_and_dataset(tmp_path, values):
    tags = [
        {"wavelength": str(0.4 + band / 10), "fwhm": "0.01", "bbl": str(int(band != 2)),
         "wavelength_units": "Micrometers"}
        for band in range(5)
    ]  # fmt: skip
    path = written(
        tmp_path / "cube.tif", values, tags=tags, nodata=-1,
        dataset_tags={"start_time": "2022-07-24T10:45:26"},
    )  # fmt: skip
    source = open_files(path)
    assert source.info.wavelengths_nm == pytest.approx((400, 500, 600, 700, 800))
    assert source.info.fwhm_nm == pytest.approx((10,) * 5)
    assert source.info.good_bands == (True, True, False, True, True)
    assert source.info.nodata == -1
    assert source.info.transform == (30, 0, 300000, 0, -30, 5800000)
    assert rasterio.CRS.from_wkt(source.info.crs_wkt) == rasterio.CRS.from_epsg(32633)
    assert source.acquired_at.isoformat() == "2022-07-24T10:45:26+00:00"


def test_scale_offset_and_unit(tmp_path, values):
    path = written(tmp_path / "cube.tif", values)
    with rasterio.open(path, "r+") as dataset:
        dataset.scales = (0.5,) * 5
        dataset.offsets = (2.0,) * 5
        dataset.units = ("W",) * 5
        dataset.descriptions = tuple("abcde")
    info = open_files(path).info
    assert (info.scale, info.offset, info.unit) == (0.5, 2.0, "W")
    assert info.band_names == tuple("abcde")


def test_bands_with_scales_and_offsets_of_their_own(tmp_path, values):
    path = written(tmp_path / "cube.tif", values)
    with rasterio.open(path, "r+") as dataset:
        dataset.scales = (1, 2, 0.1, 4, 5)
        dataset.offsets = (0, 0, 0, -0.5, 0)
    source = open_files(path)
    assert source.info.scale == (1, 2, 0.1, 4, 5)
    assert source.info.offset == (0, 0, 0, -0.5, 0)
    np.testing.assert_array_equal(whole(source), values)


def test_no_place_is_no_transform(tmp_path, values):
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning):
        path = written(tmp_path / "cube.tif", values, crs=None, transform=None)
    source = open_files(path)
    assert source.info.crs_wkt is None
    assert source.info.transform is None


@pytest.mark.parametrize("kept", [4, 8, 200, 0.3, 0.99])
@pytest.mark.parametrize("profile", [{}, {"compress": "deflate", "interleave": "pixel"}], ids=str)
def test_a_truncated_file_is_refused(tmp_path, values, kept, profile):
    content = written(tmp_path / "cube.tif", values, **profile).read_bytes()
    size = int(kept * len(content)) if kept < 1 else kept
    with pytest.raises(TruncatedFile, match=r"cube.tif"):
        whole(opened([MemoryFile("cube.tif", content[:size])]))


def test_an_error_of_the_store_is_not_taken_for_a_damaged_file(tmp_path, values):
    file = file_of(written(tmp_path / "cube.tif", values))
    source = opened([file])

    def away(offset, length):
        raise ConnectionError("away")

    file.read_at = away
    with pytest.raises(ConnectionError):
        whole(source)


def test_a_width_that_only_its_tag_has(tmp_path, values):
    """Found by fuzzing: millions of tiles declared, none of them in the file."""
    path = tmp_path / "wide.tif"
    tifffile.imwrite(path, np.zeros((9, 64), np.uint8), tile=(16, 16), photometric="minisblack")
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        width = file.pages[0].tags["ImageWidth"]
        content[width.offset + 2 : width.offset + 4] = b"\4\0"  # 32 bits
        content[width.valueoffset : width.valueoffset + 4] = (10_000_000).to_bytes(4, "little")
    with pytest.raises(TruncatedFile, match="no place for the list of its 625000 blocks"):
        opened([MemoryFile("wide.tif", bytes(content))])


@pytest.mark.parametrize(
    "profile", [{}, {"BIGTIFF": "YES", "compress": "deflate"}, {"ENDIANNESS": "BIG"}], ids=str
)
def test_texts_in_latin_1(tmp_path, profile):
    """rasterio leaves such tags out: the unit of the wavelengths would be nm."""
    values = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    path = tmp_path / "latin.tif"
    tags = [
        {"wavelength": text, "wavelength_units": "Q1", "fwhm": "0.01"} for text in ("0.4", "0.5")
    ]
    written(path, values, tags=tags, dataset_tags={"start_time": "2024-06-01T10:00:00Z"}, **profile)
    with rasterio.open(path, "r+") as file:
        file.descriptions, file.units = ("Q2", "grün"), ("WQ3", "WQ3")
    content = path.read_bytes()
    for mark, told in ((b"Q1", b"\xb5m"), (b"Q2", b"\xe9\x96"), (b"Q3", b"\xb5\xb2")):
        assert content.count(mark) >= 1
        content = content.replace(mark, told)
    source = opened([MemoryFile("latin.tif", content)])
    info = source.info
    assert info.wavelengths_nm == pytest.approx((400, 500))
    assert info.fwhm_nm == pytest.approx((10, 10))
    assert info.band_names == ("é\x96", "grün")  # one as it was written, one by GDAL
    assert info.unit == "Wµ²"
    assert source.acquired_at == datetime(2024, 6, 1, 10, tzinfo=UTC)
    assert rasterio.CRS.from_wkt(info.crs_wkt) == rasterio.CRS.from_epsg(32633)
    np.testing.assert_array_equal(whole(source), values)


@pytest.mark.parametrize(
    ("unit", "wavelength"),
    [("µm", 400), ("μm", 400), ("A\N{COMBINING RING ABOVE}ngström", 0.04), ("Ångstroms", 0.04),
     ("\N{ANGSTROM SIGN}", 0.04), ("cm-1", None)],
)  # fmt: skip
def test_units_of_wavelengths(tmp_path, unit, wavelength):
    tags = [{"wavelength": "0.4", "wavelength_units": unit}]
    source = open_files(written(tmp_path / "c.tif", np.zeros((1, 3, 4), np.uint8), tags=tags))
    assert source.info.wavelengths_nm == (wavelength and pytest.approx((wavelength,)))


def test_names_of_a_crs_in_latin_1(tmp_path):
    """rasterio opens no such file. Where other names begin lies in another tag."""
    crs = rasterio.CRS.from_wkt(
        'PROJCS["Région",GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563]]'
        ',PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]],PROJECTION["Transverse_Mercator"]'
        ',PARAMETER["latitude_of_origin",0],PARAMETER["central_meridian",15.3],'
        'PARAMETER["scale_factor",0.9996],PARAMETER["false_easting",5e5],'
        'PARAMETER["false_northing",0],UNIT["metre",1]]'
    )
    values = np.arange(12, dtype=np.uint8).reshape(1, 3, 4)
    path = written(tmp_path / "place.tif", values, crs=crs)
    with rasterio.open(path) as file:
        wkt = file.crs.to_wkt()
    content = path.read_bytes().replace("Régio".encode(), b"R\xe9gi\xb5o")
    source = opened([MemoryFile("place.tif", content)])
    assert "Région" in wkt
    assert source.info.crs_wkt == wkt.replace("Région", "Regi?on")
    np.testing.assert_array_equal(whole(source), values)
    with tifffile.TiffFile(path) as file:
        found = [file.pages[0].tags[code] for code in (33550, 33922, 34735, 34736, 34737)]
        tags = [(tag.code, tag.dtype, tag.count, tag.value, True) for tag in found[:-1]]
        names = found[-1].value.encode()
    names = names.replace("Régio".encode(), b"R\xe9gi\xb5o")
    stack = np.arange(36, dtype=np.uint8).reshape(3, 3, 4)
    with tifffile.TiffWriter(path) as writer:
        for image in stack:
            writer.write(image, metadata=None, extratags=[*tags, (34737, 2, 0, names, True)])
    source = open_files(path)
    assert source.info.crs_wkt == wkt.replace("Région", "Regi?on")
    np.testing.assert_array_equal(whole(source), stack)


def test_names_that_are_no_text(tmp_path):
    """Found by fuzzing: rasterio raises UnicodeDecodeError."""
    path = tmp_path / "half.tif"
    said = b'<GDALMetadata><Item name="UNITTYPE" sample="0" role="unittype">&#xD800;W</Item>'
    tags = [(42112, 2, 0, said + b"</GDALMetadata>", True)]
    tifffile.imwrite(path, np.zeros((3, 4), np.uint8), metadata=None, extratags=tags)
    with pytest.raises(HeaderMismatch, match=r"half.tif.* what is no text, as &#xD800; is"):
        open_files(path)


class NearlyTooLarge(MemoryFile):
    """One whose end is where a TIFF's offsets end."""

    size = 2**32


def test_texts_in_latin_1_in_a_file_without_room(tmp_path):
    path = tmp_path / "full.tif"
    said = b'<GDALMetadata><Item name="UNITTYPE" sample="0" role="unittype">\xb5W</Item>'
    tags = [(42112, 2, 0, said + b"</GDALMetadata>", True)]
    tifffile.imwrite(path, np.zeros((3, 4), np.uint8), metadata=None, extratags=tags)
    with pytest.raises(HeaderMismatch, match=r"full.tif.* no UTF-8; UTF-8 is right in a TIFF of 4"):
        opened([NearlyTooLarge("full.tif", path.read_bytes())])


def test_more_bands_than_are_read_in_bounded_time(tmp_path):
    """Found by fuzzing: the time to read bands went with their square."""
    path = tmp_path / "many.tif"
    contiguous = {"photometric": "minisblack", "planarconfig": "contig"}
    tifffile.imwrite(path, np.zeros((1, 1, 8193), np.uint8), **contiguous)
    with pytest.raises(UnsupportedFormat, match=r"many.tif .*8193 bands; 8192 are the most"):
        open_files(path)
    tifffile.imwrite(path, np.zeros((1, 1, 8192), np.uint8), **contiguous)
    assert open_files(path).info.shape == (8192, 1, 1)

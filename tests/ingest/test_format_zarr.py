"""Zarr stores in a zip file, written by zarr-python and xarray."""

import gzip
import json
import zipfile

import numcodecs
import numpy as np
import pytest
import rasterio
import xarray
import zarr
from zarr.codecs import BloscCodec, BytesCodec, GzipCodec, TransposeCodec, ZstdCodec

from hsis_ingest.errors import (
    DecompressionBomb,
    HeaderMismatch,
    TruncatedFile,
    UnknownFormat,
    UnsupportedFormat,
    VariableNeeded,
)
from tests.hsis_cube.blobs import stored as write_store
from tests.ingest.files import MemoryFile, file_of, open_files, opened, whole

VALUES = np.random.default_rng(3).integers(-900, 900, (11, 23, 17)).astype(np.int16)


def stored(folder, compression=zipfile.ZIP_STORED, values=VALUES, **settings):
    """One array as the store of a zip file."""
    path = folder / "cube.zarr.zip"
    with zarr.storage.ZipStore(path, mode="w", compression=compression) as store:
        array = zarr.create_array(
            store, shape=values.shape, dtype=values.dtype, **{"chunks": (4, 10, 7)} | settings
        )
        array[...] = values
    return path


def zipped(folder, without=""):
    """The store in a folder as a zip file, one of its arrays left out."""
    path = folder.with_suffix(".zarr.zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if without not in file.parts:
                archive.write(file, file.relative_to(folder))
    return path


def rewritten(path, change):
    """The zip file with members changed: a function of name and content, None leaves one out."""
    made = path.with_name("changed.zip")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(made, "w") as new:
        for name in old.namelist():
            content = change(name, old.read(name))
            if content is not None:
                new.writestr(name, content)
    return file_of(made)


def with_document(path, **changes):
    def change(name, content):
        if name not in {"zarr.json", ".zarray"}:
            return content
        return json.dumps(json.loads(content) | changes).encode()

    return rewritten(path, change)


# xarray writes a document again when it knows more; a zip file then has both.
WRITTEN_TWICE = pytest.mark.filterwarnings("ignore:Duplicate name")

V2 = [
    {"compressors": None},
    {"compressors": numcodecs.Blosc("lz4", shuffle=2)},
    {"compressors": numcodecs.Zstd()},
    {"compressors": numcodecs.LZ4()},
    {"compressors": numcodecs.GZip()},
    {"compressors": numcodecs.Zlib(), "filters": [numcodecs.Shuffle(2)], "order": "F"},
    {"compressors": numcodecs.BZ2(), "chunk_key_encoding": {"name": "v2", "separator": "/"}},
]
V3 = [
    {"compressors": None},
    {"compressors": BloscCodec(cname="zstd")},
    {"compressors": [ZstdCodec(checksum=True)], "serializer": BytesCodec(endian="big")},
    {"compressors": GzipCodec(), "filters": [TransposeCodec(order=(2, 0, 1))]},
    {"shards": (8, 20, 14)},
    {"shards": {"shape": (12, 30, 21), "index_location": "start"}},
]


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize(
    "settings", [{"zarr_format": 2, **each} for each in V2] + [{"zarr_format": 3, **e} for e in V3]
)
def test_what_zarr_python_writes(tmp_path, settings, compression):
    source = open_files(stored(tmp_path, compression, **settings), axes="byx")
    assert source.info.dtype == np.int16
    assert source.info.nodata is None
    np.testing.assert_array_equal(whole(source), VALUES)
    window = (slice(3, 9), slice(9, 22), slice(5, 15))
    np.testing.assert_array_equal(source.read(*window), VALUES[window])


@pytest.mark.parametrize("again", [False, True], ids=["as it is", "written by xarray"])
def test_gains_of_a_stored_cube(tmp_path, again):
    scales, offset = (0.5, 0.25, 0.125), -1.0
    write_store(tmp_path / "cube", VALUES[:3], scale=scales, offset=offset)
    folder = tmp_path / "cube"
    if again:
        folder = tmp_path / "again"
        dataset = xarray.open_zarr(tmp_path / "cube").load().drop_encoding()
        dataset.to_zarr(folder, consolidated=False)
    source = open_files(zipped(folder))
    np.testing.assert_array_equal(whole(source), VALUES[:3])
    assert (source.info.scale, source.info.offset) == (scales, offset)


@pytest.mark.parametrize("name", ["band_scale", "band_offset"])
def test_gains_that_are_not_there(tmp_path, name):
    write_store(tmp_path / "cube", VALUES[:3], scale=(0.5, 0.25, 0.125))
    with pytest.raises(HeaderMismatch, match=f"there is no {name} beside it"):
        open_files(zipped(tmp_path / "cube", without=name))


@WRITTEN_TWICE
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_what_xarray_writes(tmp_path, zarr_format):
    transform = rasterio.Affine(30, 0, 500_000, 0, -30, 5_800_000)
    rows, columns = np.arange(23) + 0.5, np.arange(17) + 0.5
    values = VALUES.astype(np.float32)
    values[2, 3, 4] = np.nan
    dataset = xarray.Dataset(
        {
            "reflectance": (("y", "x", "wavelength"), values.transpose(1, 2, 0),
                {"units": "1", "grid_mapping": "crs"}),
            "fwhm": ("wavelength", np.linspace(0.005, 0.010, 11)),
            "good_bands": ("wavelength", np.arange(11) != 5),
            "crs": ((), 0, {"crs_wkt": rasterio.CRS.from_epsg(32633).to_wkt()}),
        },
        {
            "wavelength": ("wavelength", np.linspace(0.4, 0.9, 11), {"units": "um"}),
            "y": 5_800_000 - 30 * rows,
            "x": 500_000 + 30 * columns,
        },
        {"time_coverage_start": "2024-05-06T07:08:09Z"},
    )  # fmt: skip
    encoding = {"reflectance": {"dtype": "i2", "scale_factor": 0.5, "_FillValue": -9999}}
    path = tmp_path / "scene.zip"
    with zarr.storage.ZipStore(path, mode="w") as store:
        dataset.to_zarr(store, encoding=encoding, zarr_format=zarr_format, consolidated=False)
    source = open_files(path)
    info = source.info
    assert (info.shape, info.dtype, info.scale, info.unit) == ((11, 23, 17), np.int16, 0.5, "1")
    assert info.nodata == -9999
    expected = np.where(np.isnan(values), -9999, np.round(np.nan_to_num(values) / 0.5))
    np.testing.assert_array_equal(whole(source), expected)
    assert info.wavelengths_nm == pytest.approx(np.linspace(400, 900, 11))
    assert info.fwhm_nm == pytest.approx(np.linspace(5, 10, 11))
    assert info.good_bands == tuple(np.arange(11) != 5)
    assert info.transform == pytest.approx(tuple(transform)[:6])
    assert rasterio.CRS.from_wkt(info.crs_wkt).to_epsg() == 32633
    assert source.acquired_at.isoformat() == "2024-05-06T07:08:09+00:00"
    with zarr.storage.ZipStore(path, mode="r") as store:
        decoded = xarray.open_zarr(store, consolidated=False)["reflectance"].to_numpy()
    np.testing.assert_array_equal(decoded.transpose(2, 0, 1), values)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_scales_and_offsets_in_lists(tmp_path, zarr_format):
    attributes = {"scale_factor": [0.5], "add_offset": [0.25 * band for band in range(11)]}
    path = stored(tmp_path, zarr_format=zarr_format, attributes=attributes)
    info = open_files(path, axes="byx").info
    expected = (0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2, 2.25, 2.5)
    assert (info.scale, info.offset) == (0.5, expected)


@WRITTEN_TWICE
@pytest.mark.parametrize(("zarr_format", "fill"), [(2, -1.5), (3, -1.5), (2, np.nan), (3, np.nan)])
def test_fill_values_of_floats(tmp_path, zarr_format, fill):
    path = tmp_path / "a.zip"
    array = xarray.DataArray(np.full((2, 3, 4), fill), dims=("band", "y", "x"), name="v")
    with zarr.storage.ZipStore(path, mode="w") as store:
        array.to_dataset().to_zarr(
            store, encoding={"v": {"_FillValue": fill}}, zarr_format=zarr_format, consolidated=False
        )
    assert open_files(path).info.nodata == pytest.approx(fill, nan_ok=True)


def test_chunks_that_are_not_there(tmp_path):
    path = tmp_path / "a.zip"
    for settings in ({}, {"shards": (8, 20, 14)}):
        with zarr.storage.ZipStore(path, mode="w") as store:
            array = zarr.create_array(
                store, shape=VALUES.shape, dtype="i2", chunks=(4, 10, 7), fill_value=7, **settings
            )
            array[5:7, 3:12] = VALUES[5:7, 3:12]
        expected = np.full_like(VALUES, 7)
        expected[5:7, 3:12] = VALUES[5:7, 3:12]
        np.testing.assert_array_equal(whole(open_files(path, axes="byx")), expected)
        path.unlink()


def test_the_outermost_of_several_and_a_folder_around(tmp_path):
    folder = tmp_path / "scene.zarr"
    group = zarr.create_group(folder)
    for name, values in {"cube": VALUES, "overviews/2": VALUES[:, ::2, ::2]}.items():
        group.create_array(name, data=values, chunks=(4, 10, 7))
    path = tmp_path / "scene.zip"
    with zipfile.ZipFile(path, "w") as made:
        for member in sorted(folder.rglob("*")):
            made.write(member, member.relative_to(tmp_path))
    np.testing.assert_array_equal(whole(open_files(path, axes="byx")), VALUES)
    coarse = open_files(path, axes="byx", variable="overviews/2")
    np.testing.assert_array_equal(whole(coarse), VALUES[:, ::2, ::2])
    with pytest.raises(VariableNeeded, match=r"no array 'x'; it has cube \(11 x 23 x 17 int16\)"):
        open_files(path, variable="x")
    group.create_array("other", data=VALUES)
    with zipfile.ZipFile(path, "a") as made:
        made.write(folder / "other" / "zarr.json", "scene.zarr/other/zarr.json")
    with pytest.raises(VariableNeeded, match=r"candidates.* cube .* other "):
        open_files(path)


def test_reads_are_ranges(tmp_path):
    values = np.random.default_rng(9).integers(0, 2**15, (40, 300, 300)).astype(np.uint16)
    path = stored(tmp_path, values=values, chunks=(40, 50, 50), shards=(40, 300, 300))
    file = file_of(path)
    source = opened([file], axes="byx")
    file.reads.clear()
    part = source.read(slice(0, 40), slice(100, 110), slice(100, 110))
    np.testing.assert_array_equal(part, values[:, 100:110, 100:110])
    assert sum(length for _, length in file.reads) < file.size / 10


BLOSC_BOMB = bytes([2, 1, 0x21, 2]) + (2**31 - 64).to_bytes(4, "little") + bytes(8)
ZSTD_BOMB = b"\x28\xb5\x2f\xfd\xe0" + (2**40).to_bytes(8, "little") + bytes(9)


@pytest.mark.parametrize(
    ("settings", "content", "error", "message"),
    [
        (
            {"compressors": GzipCodec()},
            gzip.compress(bytes(999), mtime=0),  # part of the name of the test
            DecompressionBomb,
            "560",
        ),
        ({"compressors": ZstdCodec()}, ZSTD_BOMB, DecompressionBomb, "more than the 560 bytes"),
        ({"compressors": ZstdCodec()}, b"\x28\xb5\x2f\xfd\0\0\0", UnsupportedFormat, "its size"),
        ({"compressors": ZstdCodec()}, b"what is this", TruncatedFile, "no Zstandard frame"),
        ({"compressors": BloscCodec()}, BLOSC_BOMB[:12] + b"\x10\0\0\0", DecompressionBomb, "560"),
        ({"compressors": BloscCodec()}, bytes(16), TruncatedFile, "no whole Blosc buffer"),
        ({"compressors": GzipCodec()}, b"\x1f\x8b no", TruncatedFile, "damaged"),
        ({"compressors": None}, bytes(559), TruncatedFile, r"has 559 bytes; 560 are right"),
        ({"shards": (8, 20, 14)}, bytes(99), TruncatedFile, "too short for its index"),
        ({"shards": (8, 20, 14)}, bytes(400), TruncatedFile, "index of the shard.* damaged"),
    ],
)
def test_damaged_chunks(tmp_path, settings, content, error, message):
    path = stored(tmp_path, **settings)
    file = rewritten(path, lambda name, old: content if name == "c/0/0/0" else old)
    with pytest.raises(error, match=message):
        whole(opened([file], axes="byx"))


FLAGS = {"flag_values": [1], "flag_titles": ["a"], "flag_colors": "#ff0000"}


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"shape": "x"}, HeaderMismatch, "`shape` is no list of sizes"),
        ({"shape": [10**6] * 3}, DecompressionBomb, "max_expansion"),
        ({"shape": [11, 23]}, HeaderMismatch, "another number of axes"),
        ({"data_type": "string"}, UnsupportedFormat, "'string'; numbers are right"),
        ({"data_type": "float16"}, UnsupportedFormat, "float16"),
        ({"data_type": "bool"}, UnsupportedFormat, "no arrays of numbers"),
        ({"fill_value": "red"}, HeaderMismatch, "fill_value = red"),
        ({"codecs": []}, UnsupportedFormat, "no codec `bytes`"),
        ({"codecs": ["bytes", {"name": "pcodec"}]}, UnsupportedFormat, "'pcodec', which is not"),
        ({"chunk_grid": {"name": "rectilinear"}}, UnsupportedFormat, "'rectilinear'"),
        ({"chunk_key_encoding": {"name": "fan"}}, UnsupportedFormat, "'fan'"),
        ({"attributes": {"scale_factor": 0}}, HeaderMismatch, "scale_factor = 0"),
        ({"attributes": {"scale_factor": 10**400}}, HeaderMismatch, "a number is right"),
        ({"attributes": {"scale_factor": [1, 2]}}, HeaderMismatch, "2 numbers; .* the 11 bands"),
        ({"attributes": {"add_offset": [0] * 10 + ["x"]}}, HeaderMismatch, "list of one a band"),
        ({"attributes": {"scale": [1, 2]}}, HeaderMismatch, "a number is right"),
        ({"attributes": {"flag_titles": ["a"]}}, HeaderMismatch, "`flag_…` do not fit"),
        (
            {"attributes": FLAGS | {"flag_values": [1e400]}},
            HeaderMismatch,
            "value inf; .* integers",
        ),
        ({"attributes": FLAGS | {"flag_titles": [5]}}, HeaderMismatch, "class 5 .* of texts"),
        ({"attributes": FLAGS | {"flag_colors": "red"}}, HeaderMismatch, "'red'; .* #1F77B4"),
        (
            {"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [10**4] * 3}}},
            DecompressionBomb,
            "max_chunk_bytes",
        ),
    ],
)
def test_metadata_that_cannot_be(tmp_path, changes, error, message):
    with pytest.raises(error, match=message):
        opened([with_document(stored(tmp_path), **changes)], axes="byx")


def test_zip_files_that_are_no_store(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("readme.txt", "hello")
    with pytest.raises(UnknownFormat, match="without a Zarr store"):
        open_files(path)
    content = stored(tmp_path).read_bytes()
    with pytest.raises(TruncatedFile, match="its end is missing"):
        opened([MemoryFile("a.zip", content[:-200])])
    with pytest.raises(TruncatedFile, match="damaged zip file"):
        opened([MemoryFile("a.zip", content.replace(b"PK\1\2", b"PK\1\0"))])
    with pytest.raises(DecompressionBomb, match="zarr_max_members"):
        opened([MemoryFile("a.zip", content)], zarr_max_members=3)
    at = content.index(b"c/0/0/0") + 300
    broken = content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
    with pytest.raises(TruncatedFile, match="checksum"):
        whole(opened([MemoryFile("a.zip", broken)], axes="byx"))
    with pytest.raises(HeaderMismatch, match="is no JSON object"):
        opened([rewritten(stored(tmp_path), lambda *_: b"[]")])

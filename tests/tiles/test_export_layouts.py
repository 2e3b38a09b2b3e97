"""Exports without a server: every type, memory, and what is not in one real cube."""

import asyncio
import tracemalloc
import zipfile
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import h5py
import netCDF4
import numpy as np
import pytest
import rasterio
import scipy.io
import spectral
from numpy.typing import NDArray

from hsis.cube.classes import CubeClass
from hsis.cube.layout import CubeInfo
from hsis.cube.reader import StoredCube
from hsis_tiles.errors import UnsupportedExport
from hsis_tiles.export import envi, matlab, matlab73, netcdf, npy, tiff, zipped
from hsis_tiles.export.blocks import Block, ExportFile, array_blocks, runs
from hsis_tiles.export.selection import Selection, describe, select
from hsis_tiles.export.stream import content_of, small_parts
from hsis_tiles.export.tiff_tags import template_tags
from tests.hsis_cube.blobs import DTYPES, FolderBlobs, random_values, stored

BLOCK_BYTES = 400_000
"""Less than a chunk has: blocks are cut along every axis."""


async def written(
    blobs: FolderBlobs, make: Callable[[CubeInfo, Selection], list[ExportFile]], folder: Path
) -> list[Path]:
    """The files of an export of a whole cube."""
    paths = []
    with ThreadPoolExecutor(2) as executor:
        cube = await StoredCube.open(blobs, "", executor)
        chosen = select(cube.info)
        for file in make(describe(cube.info, chosen), chosen):
            content = [
                bytes(part) async for part in content_of(file.pieces(), cube, None, executor)
            ]
            path = folder / file.name
            path.write_bytes(b"".join(content))
            assert path.stat().st_size == file.length
            paths.append(path)
    return paths


def export(
    blobs: FolderBlobs, folder: Path, make: Callable[[CubeInfo, Selection], list[ExportFile]]
) -> Path:
    """The last of the files, which is the one of the values."""
    return asyncio.run(written(blobs, make, folder))[-1]


def same(found: NDArray[Any], expected: NDArray[Any]) -> bool:
    """Whether type and bytes are the same."""
    return found.dtype == expected.dtype and found.tobytes() == expected.tobytes()


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_type_in_every_format_that_has_it(tmp_path: Path, dtype: str) -> None:
    values = random_values((18, 130, 140), dtype)
    blobs = stored(tmp_path / "store", values)
    most = BLOCK_BYTES

    path = export(
        blobs, tmp_path, lambda i, c: [npy.npy_file("a", i, c, axes="byx", max_bytes=most)]
    )
    assert same(np.load(path), values)

    path = export(
        blobs, tmp_path, lambda i, c: [matlab.mat_file("a", i, c, axes="yxb", max_bytes=most)]
    )
    found = scipy.io.loadmat(path)["cube"].transpose(2, 0, 1)
    assert same(np.ascontiguousarray(found).astype(found.dtype.newbyteorder("=")), values)

    path = export(
        blobs, tmp_path, lambda i, c: [matlab73.mat73_file("b", i, c, axes="yxb", max_bytes=most)]
    )
    assert path.read_bytes().startswith(b"MATLAB 7.3 MAT-file")
    with h5py.File(path) as file:
        found = file["cube"][:]
        if values.dtype.kind == "c":
            assert found.dtype.names == ("real", "imag")
            found = found.view(values.dtype)
        kind = {
            "float32": "single",
            "float64": "double",
            "complex64": "single",
            "complex128": "double",
        }
        assert file["cube"].attrs["MATLAB_class"].decode() == kind.get(dtype, dtype)
        assert same(np.ascontiguousarray(found.transpose(0, 2, 1)), values)

    path = export(
        blobs,
        tmp_path,
        lambda i, c: [tiff.tiff_file("a", i, i, c, overviews=False, max_bytes=most)],
    )
    with rasterio.open(path) as dataset:
        assert same(dataset.read(), values)

    def as_envi(info: CubeInfo, chosen: Selection) -> list[ExportFile]:
        return envi.envi_files("a", info, chosen, interleave="bil", max_bytes=most)

    if dtype == "int8":
        with pytest.raises(UnsupportedExport, match="no data type for int8"):
            export(blobs, tmp_path, as_envi)
    else:
        export(blobs, tmp_path, as_envi)
        found = spectral.open_image(str(tmp_path / "a.hdr")).open_memmap(interleave="bsq")
        assert same(np.asarray(found), values)

    def as_netcdf(info: CubeInfo, chosen: Selection) -> list[ExportFile]:
        return [netcdf.netcdf_file("a", info, chosen, max_bytes=most)]

    if values.dtype.kind == "c":
        with pytest.raises(UnsupportedExport, match="no complex numbers"):
            export(blobs, tmp_path, as_netcdf)
    else:
        with netCDF4.Dataset(export(blobs, tmp_path, as_netcdf)) as dataset:
            dataset.set_auto_mask(False)
            assert same(dataset["cube"][:], values)
            assert list(dataset.dimensions) == ["band", "y", "x"]
            assert "y" not in dataset.variables  # no place: no coordinates that would be one


def test_a_turned_and_a_sheared_place_in_envi(tmp_path: Path) -> None:
    wkt = rasterio.crs.CRS.from_epsg(32733).to_wkt()
    turned = (24.0, 18.0, 300_000.0, 18.0, -24.0, 7_000_000.0)  # by atan2(18, 24), pixels of 30 m
    for number, transform in enumerate([turned, (24.0, 5.0, 3.0, 18.0, 24.0, 7.0)]):
        values = random_values((2, 8, 9), "uint8")
        blobs = stored(tmp_path / str(number), values, transform=transform, crs_wkt=wkt)
        path = export(
            blobs,
            tmp_path,
            lambda i, c: envi.envi_files("a", i, c, interleave="bsq", max_bytes=BLOCK_BYTES),
        )
        header = (tmp_path / "a.hdr").read_text()
        if transform is turned:
            assert "map info = {UTM, 1, 1, 300000.0, 7000000.0, 30.0, 30.0, 33, South" in header
            with rasterio.open(path) as dataset:
                assert np.allclose(tuple(dataset.transform)[:6], turned, rtol=1e-12)
                assert dataset.crs.to_epsg() == 32733
        else:
            assert "map info" not in header
            assert "geotransform = {\n 3.0, 24.0, 5.0, 7.0, 18.0, 24.0}" in header


def test_classes_in_envi_and_netcdf(tmp_path: Path) -> None:
    values = np.array([[[0, 1, 3]]], np.uint8)
    classes = (CubeClass(1, "dry, bare soil", "AA5500"), CubeClass(3, "water", "0000FF"))
    blobs = stored(tmp_path / "store", values, classes=classes, nodata=0.0)
    export(
        blobs,
        tmp_path,
        lambda i, c: envi.envi_files("a", i, c, interleave="bsq", max_bytes=BLOCK_BYTES),
    )
    metadata = spectral.envi.read_envi_header(str(tmp_path / "a.hdr"))
    assert metadata["file type"] == "ENVI Classification"
    assert metadata["classes"] == "4"
    assert metadata["class names"] == ["Unclassified", "dry; bare soil", "Unclassified", "water"]
    assert metadata["class lookup"][3:6] == ["170", "85", "0"]
    path = export(
        blobs, tmp_path, lambda i, c: [netcdf.netcdf_file("a", i, c, max_bytes=BLOCK_BYTES)]
    )
    with netCDF4.Dataset(path) as dataset:
        assert dataset["cube"].flag_values.tolist() == [1, 3]
        assert dataset["cube"].flag_meanings == "dry-bare-soil water"


@pytest.mark.parametrize(
    ("dtype", "nodata", "fill"),
    [("int16", float("nan"), None), ("int16", -9999.0, -9999), ("int64", 2.0**63, 2**63 - 1)],
)
def test_netcdf_says_no_data_where_a_value_can_be_it(
    tmp_path: Path, dtype: str, nodata: float, fill: int | None
) -> None:
    blobs = stored(tmp_path / "store", np.array([[[0, 1]]], dtype), nodata=nodata)
    path = export(
        blobs, tmp_path, lambda i, c: [netcdf.netcdf_file("a", i, c, max_bytes=BLOCK_BYTES)]
    )
    with netCDF4.Dataset(path) as dataset:
        assert getattr(dataset["cube"], "_FillValue", None) == fill
        assert dataset["cube"][:].ravel().tolist() == [0, 1]


def test_memory_is_that_of_the_setting_whatever_the_size(tmp_path: Path) -> None:
    """64 MB of values by blocks of 2 MiB."""
    bands, rows, columns = 64, 1000, 500
    plane = np.arange(rows * columns, dtype=np.int16).reshape(rows, columns)
    values = np.empty((bands, rows, columns), np.int16)
    values[:] = plane + np.arange(bands, dtype=np.int16)[:, None, None]
    blobs = stored(tmp_path, values)
    most = 2 * 1024 * 1024

    async def taken(make: Callable[[CubeInfo, Selection], ExportFile]) -> int:
        with ThreadPoolExecutor(2) as executor:
            cube = await StoredCube.open(blobs, "", executor, concurrent_reads=1)
            chosen = select(cube.info)
            file = make(cube.info, chosen)
            tracemalloc.start()
            count = 0
            async for part in small_parts(content_of(file.pieces(), cube, None, executor)):
                count += len(part)
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert count == file.length >= values.nbytes
            return peak

    for make in (
        lambda i, c: npy.npy_file("a", i, c, axes="byx", max_bytes=most),
        lambda i, c: npy.npy_file("a", i, c, axes="yxb", max_bytes=most),
        lambda i, c: netcdf.netcdf_file("a", i, c, max_bytes=most),
        lambda i, c: tiff.tiff_file("a", i, i, c, overviews=False, max_bytes=most),
    ):
        # Two blocks, one of them as it is read and as it is written, and what is read.
        assert asyncio.run(taken(make)) < 6 * most


@pytest.mark.parametrize("axes", ["byx", "ybx", "yxb", "bxy", "xyb"])
@pytest.mark.parametrize("most", [1, 700, 40_000, 10**9])
def test_blocks_cover_an_array_in_its_order(axes: str, most: int) -> None:
    chosen = Selection((3, 14, 15, 16, 40), (120, 140), (100, 300))
    info_sizes = dict(zip("byx", chosen.shape, strict=True))
    shape = [info_sizes[axis] for axis in axes]
    if most == 1:
        chosen = Selection((3, 16), (127, 129), (127, 130))
        shape = [dict(zip("byx", chosen.shape, strict=True))[axis] for axis in axes]
    cube = np.arange(48 * 150 * 300, dtype="<i4").reshape(48, 150, 300)
    rows, columns = slice(*chosen.rows), slice(*chosen.columns)
    content = b""
    for block in array_blocks(chosen, axes, np.dtype("<i4"), most):
        assert block.length <= max(most, 4)
        values = cube[list(block.bands), slice(*block.rows), slice(*block.columns)]
        part = bytes(block.encode(values))
        assert len(part) == block.length
        content += part
    expected = cube[list(chosen.bands), rows, columns].transpose(["byx".index(a) for a in axes])
    assert expected.shape == tuple(shape)
    assert content == expected.tobytes()


def test_runs_end_where_chunks_do_if_they_can() -> None:
    assert list(runs([0, 28, 156, 200], 130)) == [(0, 28), (28, 156), (156, 200)]
    assert list(runs([0, 28, 156, 200], 100)) == [(0, 28), (28, 128), (128, 200)]


def test_a_large_tiff_is_a_bigtiff_with_offsets_behind_4_gib() -> None:
    info = CubeInfo((40, 8000, 8000), np.dtype("int16"))
    file = tiff.tiff_file("a", info, info, select(info), overviews=True, max_bytes=2**25)
    pieces = file.pieces()
    header = next(pieces)
    assert isinstance(header, bytes)
    assert header[:4] == b"II+\0"
    assert file.length == len(header) + sum(p.length for p in pieces if isinstance(p, Block))
    small = CubeInfo((4, 80, 80), np.dtype("int16"))
    file = tiff.tiff_file("a", small, small, select(small), overviews=True, max_bytes=2**25)
    assert next(file.pieces())[:4] == b"II*\0"


@pytest.mark.parametrize(
    ("dtype", "nodata", "told"),
    [
        ("uint16", 65535.0, b"65535"),
        ("uint16", -9999.0, None),
        ("int64", 2.0**63, b"9223372036854775807"),  # the greatest, which no float is
        ("int16", -9999.5, None),
        ("int16", float("nan"), None),
        ("float32", float("nan"), b"nan"),
        ("float32", -9999.0, b"-9999"),
        ("float32", -3.4028235e38, b"-3.4028234663852886e+38"),  # the least, as headers write it
        ("complex64", -3.4028235e38, b"-3.4028234663852886e+38"),
        ("float32", -1.7e308, None),
    ],
)
def test_a_tiff_says_no_data_where_a_value_can_be_it(dtype: str, nodata: float, told: bytes | None):
    """GDAL would not make the file at all."""
    tags = template_tags(CubeInfo((2, 30, 40), np.dtype(dtype), nodata=nodata), {})
    found = [tag.content.rstrip(b"\0") for tag in tags if tag.number == 42113]  # GDAL_NODATA
    assert found == ([] if told is None else [told])


@pytest.mark.parametrize("limit", [2**31 - 1, 3000, 100])
def test_the_length_of_an_archive_is_known_before(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, limit: int
) -> None:
    """With the sizes at which ZIP64 begins made small."""
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", limit)
    files = {"a.hdr": b"x" * 90, "längs/b.img": b"y" * 5000, "c": b"", "d": b"z" * 200}

    async def one(content: bytes) -> AsyncGenerator[bytes, None]:
        yield content

    async def members() -> AsyncGenerator[zipped.Member, None]:
        for name, content in files.items():
            yield zipped.Member(name, len(content), lambda content=content: one(content))

    async def made() -> bytes:
        with ThreadPoolExecutor(1) as executor:
            moment = datetime(2024, 5, 6, 7, 8, 10)
            return b"".join([bytes(p) async for p in zipped.archive(members(), executor, moment)])

    content = asyncio.run(made())
    assert len(content) == zipped.archive_length((n, len(c)) for n, c in files.items())
    path = tmp_path / "a.zip"
    path.write_bytes(content)
    with zipfile.ZipFile(path) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == files
        assert archive.infolist()[0].date_time == (2024, 5, 6, 7, 8, 10)

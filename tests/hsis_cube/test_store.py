"""The written store as zarr-python and xarray read it."""

import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hsis.cube import layout
from hsis.cube.reader import StoredCube
from hsis.cube.shard import DamagedShard
from tests.hsis_cube.blobs import DTYPES, FolderBlobs, random_values, stored, write_cube

SHAPES = [(1, 1, 1), (17, 130, 257), (130, 3, 5), (5, 300, 600)]


def zarr_values(folder: Path, path: str = "cube") -> NDArray[Any]:
    array = zarr.open_group(folder, mode="r")[path]
    assert isinstance(array, zarr.Array)
    return np.asarray(array[:])


def same_bits(left: NDArray[Any], right: NDArray[Any]) -> bool:
    return left.dtype == right.dtype and left.tobytes() == np.ascontiguousarray(right).tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
def test_zarr_reads_every_dtype_bit_for_bit(tmp_path: Path, dtype: str) -> None:
    values = random_values((18, 131, 140), dtype)
    stored(tmp_path, values)
    assert same_bits(zarr_values(tmp_path), values)


@pytest.mark.parametrize("shape", SHAPES)
def test_zarr_reads_odd_shapes_bit_for_bit(tmp_path: Path, shape: layout.Shape) -> None:
    values = random_values(shape, "int16")
    stored(tmp_path, values)
    assert same_bits(zarr_values(tmp_path), values)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64"])
def test_nan_payloads_infinities_and_negative_zero_survive(tmp_path: Path, dtype: str) -> None:
    values = np.full((3, 5, 7), -0.0, dtype)
    values[1] = np.nan
    values[2, 0] = np.inf
    stored(tmp_path, values)
    assert same_bits(zarr_values(tmp_path), values)


def test_big_endian_input_is_stored_as_the_same_numbers(tmp_path: Path) -> None:
    values = random_values((4, 9, 9), "int16")
    swapped = values.astype(">i2")
    blobs = FolderBlobs(tmp_path)
    info = layout.CubeInfo(values.shape, values.dtype)
    asyncio.run(write_cube(blobs, "", swapped, info))
    assert same_bits(zarr_values(tmp_path), values)


def test_a_chunk_of_zeros_takes_no_space(tmp_path: Path) -> None:
    stored(tmp_path, np.zeros((16, 256, 256), np.int32))
    assert not zarr_values(tmp_path).any()
    [shard] = (tmp_path / "cube" / "c" / "0" / "0").iterdir()
    assert shard.stat().st_size == 4 * 16 + 4


@settings(max_examples=25, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 140), st.integers(1, 270), st.integers(1, 40)),
    dtype=st.sampled_from(DTYPES),
    data=st.data(),
)
def test_any_window_equals_numpy_and_zarr(
    shape: layout.Shape, dtype: str, data: st.DataObject
) -> None:
    values = random_values(shape, dtype)
    bands = data.draw(st.lists(st.integers(0, shape[0] - 1), min_size=1, max_size=6))
    top, left = data.draw(st.integers(0, shape[1] - 1)), data.draw(st.integers(0, shape[2] - 1))
    bottom = data.draw(st.integers(top + 1, shape[1]))
    right = data.draw(st.integers(left + 1, shape[2]))
    with tempfile.TemporaryDirectory() as folder:
        blobs = stored(Path(folder), values)
        info = layout.CubeInfo(shape, np.dtype(dtype))
        cube = StoredCube(blobs, "", info, None)
        found = asyncio.run(cube.read(bands, (top, bottom), (left, right)))
        assert same_bits(found, values[bands, top:bottom, left:right])
        assert same_bits(zarr_values(Path(folder)), values)


def test_xarray_finds_names_coordinates_and_place(tmp_path: Path) -> None:
    values = random_values((3, 4, 5), "uint16")
    stored(
        tmp_path,
        values,
        wavelengths_nm=(460.5, 550.0, 640.0),
        good_bands=(True, False, True),
        unit="1",
        scale=0.0001,
        nodata=0.0,
        crs_wkt='LOCAL_CS["somewhere"]',
        transform=(30.0, 0.0, 500000.0, 0.0, -30.0, 5800000.0),
    )
    dataset = xarray.open_zarr(tmp_path, consolidated=True)
    assert dataset.cube.dims == ("band", "y", "x")
    np.testing.assert_array_equal(dataset.cube.values, values)
    assert dataset.wavelength_nm.values.tolist() == [460.5, 550.0, 640.0]
    assert dataset.good_band.values.tolist() == [True, False, True]
    assert dataset.x.values.tolist() == [500015.0, 500045.0, 500075.0, 500105.0, 500135.0]
    assert dataset.y.values.tolist() == [5799985.0, 5799955.0, 5799925.0, 5799895.0]
    assert dataset.cube.attrs["scale"] == 0.0001


async def test_the_description_comes_back_as_it_was_written(tmp_path: Path) -> None:
    info = layout.CubeInfo(
        (3, 4, 5),
        np.dtype("float32"),
        wavelengths_nm=(460.5, 550.0, 640.0),
        fwhm_nm=(6.5, 6.6, 6.7),
        good_bands=(True, False, True),
        band_names=("blue", "green", "red"),
        unit="reflectance",
        scale=0.5,
        offset=-1.25,
        nodata=float("nan"),
        crs_wkt='LOCAL_CS["somewhere"]',
        transform=(29.9, 0.25, 500000.1, 0.125, -30.1, 5800000.7),
    )
    blobs = FolderBlobs(tmp_path)
    await write_cube(blobs, "c/", random_values(info.shape, "float32"), info)
    found = (await StoredCube.open(blobs, "c/")).info
    assert np.isnan(found.nodata)
    assert repr(found) == repr(info)


def test_gains_that_differ_lie_beside_the_values(tmp_path: Path) -> None:
    values = random_values((3, 4, 600), "int16")
    stored(tmp_path, values, scale=(0.5, 0.25, 0.125), offset=-1.0, unit="1")
    dataset = xarray.open_zarr(tmp_path, consolidated=True)
    array = dataset["cube"]
    assert array.dtype == np.int16
    physical = array * dataset["band_scale"] + dataset["band_offset"]
    expected = np.stack([values[band] * 0.5 ** (band + 1) - 1 for band in range(3)])
    np.testing.assert_array_equal(physical.values, expected)
    assert array.coords["band_scale"].dtype == array.coords["band_offset"].dtype == np.float64
    assert array.attrs["physical_values"] == "stored * band_scale + band_offset"
    for path in ("cube", "overviews/2"):  # nobody shall apply a scale that is not the band's
        attributes = zarr.open_group(tmp_path, mode="r")[path].attrs
        assert not {"scale", "offset"} & set(attributes)


@pytest.mark.parametrize(
    ("scale", "offset"), [((0.5, 0.25, 0.125), 0.0), (2.0, (0.0, 1.0, 0.0)), (2.0, -1.0)]
)
async def test_gains_come_back(tmp_path: Path, scale: Any, offset: Any) -> None:
    blobs, values = FolderBlobs(tmp_path), random_values((3, 4, 5), "uint8")
    info = layout.CubeInfo(values.shape, values.dtype, scale=scale, offset=offset)
    await write_cube(blobs, "", values, info)
    found = (await StoredCube.open(blobs, "")).info
    assert (found.scale, found.offset) == (scale, offset)
    with pytest.raises(ValueError, match="2 of scale for 3 bands"):
        layout.CubeInfo(values.shape, values.dtype, scale=(1.0, 2.0))


@pytest.mark.parametrize(
    "shape", [[2**16 + 1, 4, 5], [3, 0, 5], [3, 4, 2**31], [3, 4.0, 5], [3, 4], "345", None]
)
async def test_documents_of_no_cube_are_told_as_damage(tmp_path: Path, shape: Any) -> None:
    blobs, values = FolderBlobs(tmp_path), random_values((3, 4, 5), "int16")
    await write_cube(blobs, "", values, layout.CubeInfo(values.shape, values.dtype))
    document = json.loads((tmp_path / "zarr.json").read_text())
    document["consolidated_metadata"]["metadata"]["cube"]["shape"] = shape
    (tmp_path / "zarr.json").write_text(json.dumps(document))
    with pytest.raises(DamagedShard):
        await StoredCube.open(blobs, "")


@pytest.mark.parametrize("content", ["[]", "{}", "{", "[" * 5000], ids=range(4))
async def test_a_root_document_of_another_kind_is_told_as_damage(
    tmp_path: Path, content: str
) -> None:
    (tmp_path / "zarr.json").write_text(content)
    with pytest.raises(DamagedShard):
        await StoredCube.open(FolderBlobs(tmp_path), "")


async def test_no_more_of_a_document_is_read_than_there_can_be(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path)
    with (tmp_path / "zarr.json").open("wb") as document:
        document.truncate(40 << 30)  # sparse
    with pytest.raises(DamagedShard, match="more than 33554432 bytes"):
        await StoredCube.open(blobs, "")
    assert blobs.bytes_read == {"zarr.json": (32 << 20) + 1}


async def test_a_spectrum_reads_only_its_chunks(tmp_path: Path) -> None:
    values = random_values((32, 256, 512), "int16")
    blobs = FolderBlobs(tmp_path)
    info = layout.CubeInfo(values.shape, values.dtype)
    await write_cube(blobs, "", values, info)
    blobs.bytes_read.clear()
    cube = StoredCube(blobs, "", info, None)
    np.testing.assert_array_equal(await cube.spectrum(300, 200), values[:, 200, 300])
    [read] = blobs.bytes_read.values()
    size = (tmp_path / "cube/c/0/0/0").stat().st_size
    assert read < size / 7  # 2 of the 16 chunks of noise, and the index


@pytest.mark.parametrize(
    ("bands", "rows", "columns"),
    [
        ([3], (0, 1), (0, 1)),
        ([-1], (0, 1), (0, 1)),
        ([], (0, 1), (0, 1)),
        ([0], (0, 5), (0, 1)),
        ([0], (2, 2), (0, 1)),
        ([0], (0, 1), (-1, 1)),
    ],
)
async def test_reading_outside_is_an_error(
    tmp_path: Path, bands: list[int], rows: tuple[int, int], columns: tuple[int, int]
) -> None:
    cube = StoredCube(FolderBlobs(tmp_path), "", layout.CubeInfo((3, 4, 5), np.dtype("u1")), None)
    with pytest.raises(IndexError):
        await cube.read(bands, rows, columns)


@pytest.mark.parametrize(
    ("shape", "factors"),
    [((3, 512, 512), []), ((3, 10, 513), [2]), ((2, 1500, 40), [2, 4]), ((1, 1024, 1025), [2, 4])],
)
def test_overviews_end_at_512_pixels(shape: layout.Shape, factors: list[int]) -> None:
    assert layout.overview_factors(shape) == factors


async def test_an_overview_is_the_mean_of_four_pixels(tmp_path: Path) -> None:
    values = random_values((3, 515, 1301), "float64")
    blobs = FolderBlobs(tmp_path)
    info = layout.CubeInfo(values.shape, values.dtype)
    await write_cube(blobs, "", values, info)
    padded = np.pad(values, ((0, 0), (0, 1), (0, 1)), constant_values=np.nan)
    expected = np.nanmean(padded.reshape(3, 258, 2, 651, 2), axis=(2, 4))
    np.testing.assert_allclose(
        zarr_values(tmp_path, "overviews/2"), expected, rtol=1e-12, atol=1e-9
    )
    cube = StoredCube(blobs, "", info, None)
    found = await cube.read([2, 0], (100, 257), (3, 600), 2)
    np.testing.assert_allclose(found, expected[[2, 0], 100:257, 3:600], rtol=1e-12, atol=1e-9)

"""GET /cubes/{collection}/{item}/export against the source, opened by the readers of others."""

import io
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import netCDF4
import numpy as np
import pytest
import rasterio
import rasterio.warp
import scipy.io
import spectral
import tifffile
import xarray
import zarr
from numpy.typing import NDArray
from rasterio.crs import CRS

from hsis.cube.acquisition import Acquisition
from tests.hsis_cube.blobs import random_values
from tests.tiles.conftest import COLLECTION, Tiles

BANDS, ROWS, COLUMNS = 37, 300, 600
NAMES = tuple(f"band {chr(65 + band % 26)}{band}" for band in range(BANDS))
DESCRIPTION: dict[str, Any] = {
    "wavelengths_nm": tuple(400.0 + 10.25 * band for band in range(BANDS)),
    "fwhm_nm": tuple(5.0 + 0.125 * band for band in range(BANDS)),
    "good_bands": tuple(band % 7 != 3 for band in range(BANDS)),
    "band_names": NAMES,
    "unit": "W m-2 sr-1 um-1",
    "scale": 1e-4,
    "offset": -0.1,
    "nodata": -9999.0,
    "crs_wkt": CRS.from_epsg(32633).to_wkt(),
    "transform": (30.0, 0.0, 500_000.0, 0.0, -30.0, 5_000_000.0),
}
ACQUISITION = Acquisition(
    acquired_at=datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC),
    sensor="Spectrometer, 2nd",
    properties={"lab:plot": 7},
)
ACQUIRED_AT = "2024-05-06T07:08:09Z"
PART = {"bands": "3:20,30", "window": "10,20,513,290"}
PART_BANDS = [*range(2, 20), 29]
PART_TRANSFORM = (30.0, 0.0, 500_300.0, 0.0, -30.0, 4_999_400.0)


@pytest.fixture(scope="module")
def source() -> NDArray[np.int16]:
    """The values of the cube `scene`."""
    return random_values((BANDS, ROWS, COLUMNS), "int16")


@pytest.fixture(scope="module")
async def scene(tiles: Tiles, source: NDArray[np.int16]) -> str:
    """The path of a cube with everything that a description has, and an overview."""
    return await tiles.store("scene", source, acquisition=ACQUISITION, **DESCRIPTION)


@pytest.fixture(scope="module")
def part(source: NDArray[np.int16]) -> NDArray[np.int16]:
    """The values of PART."""
    return source[PART_BANDS, 20:290, 10:513]


async def fetched(tiles: Tiles, path: str, folder: Path, format: str, **query: Any) -> Path:
    """The export as a file of the name that the answer gives."""
    answer = await tiles.get(f"{path}/export", params={"format": format, **query})
    assert answer.status_code == 200, answer.text
    if not (format == "zarr" and query):
        assert int(answer.headers["Content-Length"]) == len(answer.content)
    file = folder / answer.headers["Content-Disposition"].split('"')[1]
    file.write_bytes(answer.content)
    if file.suffix == ".zip":
        with zipfile.ZipFile(file) as archive:
            assert archive.testzip() is None
            if format == "envi":
                archive.extractall(folder)
    return file


@pytest.mark.parametrize("interleave", ["bsq", "bil", "bip"])
async def test_envi(
    tiles: Tiles, scene: str, part: NDArray[Any], tmp_path: Path, interleave: str
) -> None:
    archive = await fetched(tiles, scene, tmp_path, "envi", interleave=interleave, **PART)
    assert archive.name == "scene.envi.zip"
    image = spectral.open_image(str(tmp_path / "scene.hdr"))
    assert np.array_equal(image.open_memmap(interleave="bsq"), part)
    assert image.metadata["interleave"] == interleave
    assert image.metadata["acquisition time"] == ACQUIRED_AT
    assert image.metadata["sensor type"] == "Spectrometer; 2nd"
    wavelengths = [DESCRIPTION["wavelengths_nm"][band] for band in PART_BANDS]
    assert image.bands.centers == wavelengths
    assert image.bands.bandwidths == [DESCRIPTION["fwhm_nm"][band] for band in PART_BANDS]
    assert image.metadata["wavelength units"] == "Nanometers"
    assert image.metadata["band names"] == [NAMES[band] for band in PART_BANDS]
    assert image.metadata["data ignore value"] == "-9999"
    assert [float(gain) for gain in image.metadata["data gain values"]] == [1e-4] * 19
    assert [float(value) for value in image.metadata["data offset values"]] == [-0.1] * 19
    good = [int(DESCRIPTION["good_bands"][band]) for band in PART_BANDS]
    assert [int(flag) for flag in image.metadata["bbl"]] == good
    with rasterio.open(tmp_path / "scene.img") as dataset:
        assert dataset.crs.to_epsg() == 32633
        assert tuple(dataset.transform)[:6] == PART_TRANSFORM
        assert dataset.nodata == -9999


@pytest.mark.parametrize("format", ["geotiff", "cog"])
async def test_geotiff(
    tiles: Tiles, scene: str, source: NDArray[Any], tmp_path: Path, format: str
) -> None:
    file = await fetched(tiles, scene, tmp_path, format)
    with rasterio.open(file) as dataset:
        assert np.array_equal(dataset.read(), source)
        assert dataset.crs.to_epsg() == 32633
        assert tuple(dataset.transform)[:6] == DESCRIPTION["transform"]
        assert dataset.nodata == -9999
        assert dataset.descriptions == NAMES
        assert dataset.tags()["start_time"] == ACQUIRED_AT
        assert dataset.tags()["instrument"] == "Spectrometer, 2nd"
        assert dataset.tags()["properties"] == '{"lab:plot": 7}'
        assert set(dataset.scales) == {1e-4}
        assert set(dataset.offsets) == {-0.1}
        assert set(dataset.units) == {DESCRIPTION["unit"]}
        tags = {"wavelength": "451.25", "wavelength_units": "nm", "fwhm": "5.625", "bbl": "1"}
        assert dataset.tags(6) == tags
        assert dataset.tags(6, ns="IMAGERY")["CENTRAL_WAVELENGTH_UM"] == "0.45125"
        assert dataset.overviews(1) == ([2] if format == "cog" else [])


async def test_a_cog_has_its_directories_first_and_its_image_last(
    tiles: Tiles, scene: str, source: NDArray[Any], tmp_path: Path
) -> None:
    file = await fetched(tiles, scene, tmp_path, "cog")
    with tifffile.TiffFile(file) as tiff:
        full, overview = tiff.pages
        assert full.is_tiled
        assert overview.shape == (BANDS, 150, 300)
        assert overview.subfiletype == 1
        assert full.offset < overview.offset < min(overview.dataoffsets)
        assert max(overview.dataoffsets) < min(full.dataoffsets)
        expected = zarr_array(await fetched(tiles, scene, tmp_path, "zarr"), "overviews/2")
        assert np.array_equal(overview.asarray(), expected)
    with rasterio.open(file, OVERVIEW_LEVEL=0) as reduced:
        assert np.array_equal(reduced.read(), expected)


async def test_a_part_of_a_cog_shows_its_own_overview(
    tiles: Tiles, scene: str, part: NDArray[Any], tmp_path: Path
) -> None:
    window = {"bands": PART["bands"], "window": "21,20,600,290"}
    file = await fetched(tiles, scene, tmp_path, "cog", **window)
    whole = zarr_array(await fetched(tiles, scene, tmp_path, "zarr"), "overviews/2")
    with rasterio.open(file, OVERVIEW_LEVEL=0) as reduced:
        # The window begins half an overview's pixel before column 11 of the whole overview; its
        # 579 columns take 290.
        assert np.array_equal(reduced.read(), whole[PART_BANDS, 10:145, 10:300])


def zarr_array(file: Path, name: str) -> NDArray[Any]:
    """An array of a zipped store, read by zarr-python."""
    with zarr.storage.ZipStore(file, mode="r") as store:
        return np.asarray(zarr.open_group(store, mode="r")[name])


async def test_netcdf(tiles: Tiles, scene: str, part: NDArray[Any], tmp_path: Path) -> None:
    file = await fetched(tiles, scene, tmp_path, "netcdf", **PART)
    with netCDF4.Dataset(file) as dataset:
        dataset.set_auto_maskandscale(False)
        cube = dataset["cube"]
        assert cube.dimensions == ("band", "y", "x")
        assert np.array_equal(cube[:], part)
        assert (cube._FillValue, cube.scale_factor, cube.add_offset) == (-9999, 1e-4, -0.1)
        assert cube.units == DESCRIPTION["unit"]
    with xarray.open_dataset(file, decode_coords="all") as dataset:
        assert dataset.attrs["time_coverage_start"] == ACQUIRED_AT
        assert dataset.attrs["instrument"] == "Spectrometer, 2nd"
        physical = np.where(part == -9999, np.nan, part * 1e-4 - 0.1)
        assert np.allclose(dataset["cube"].values, physical, rtol=1e-6, equal_nan=True)
        expected = [DESCRIPTION["wavelengths_nm"][band] for band in PART_BANDS]
        assert dataset["wavelength_nm"].values.tolist() == expected
        assert dataset["band_name"].values.tolist() == [NAMES[band] for band in PART_BANDS]
        good = [int(DESCRIPTION["good_bands"][band]) for band in PART_BANDS]
        assert dataset["good_band"].values.tolist() == good
        assert dataset["x"].values[0] == 500_315.0
        assert dataset["y"].values[0] == 4_999_385.0
        assert CRS.from_wkt(dataset["spatial_ref"].attrs["crs_wkt"]).to_epsg() == 32633
    with h5py.File(file) as raw:
        assert np.array_equal(raw["cube"], part)


@pytest.mark.parametrize(("axes", "order"), [("yxb", (1, 2, 0)), ("byx", (0, 1, 2))])
async def test_npy_and_matlab(
    tiles: Tiles, scene: str, part: NDArray[Any], tmp_path: Path, axes: str, order: Any
) -> None:
    array = np.load(await fetched(tiles, scene, tmp_path, "npy", axes=axes, **PART))
    assert array.dtype == np.int16
    assert np.array_equal(array, part.transpose(order))
    matlab = scipy.io.loadmat(await fetched(tiles, scene, tmp_path, "mat", axes=axes, **PART))
    assert matlab["cube"].dtype == np.int16
    assert np.array_equal(matlab["cube"], part.transpose(order))
    wavelengths = [DESCRIPTION["wavelengths_nm"][band] for band in PART_BANDS]
    assert matlab["wavelength_nm"].ravel().tolist() == wavelengths
    assert matlab["nodata"].item() == -9999
    assert matlab["scale"].item() == 1e-4
    assert matlab["transform"].ravel().tolist() == list(PART_TRANSFORM)
    assert matlab["time_coverage_start"].item() == ACQUIRED_AT
    assert matlab["unit"].item() == DESCRIPTION["unit"]
    assert matlab["crs_wkt"].item() == DESCRIPTION["crs_wkt"]


async def test_zarr_is_the_stored_store_or_one_of_the_part(
    tiles: Tiles, scene: str, source: NDArray[Any], part: NDArray[Any], tmp_path: Path
) -> None:
    file = await fetched(tiles, scene, tmp_path, "zarr")
    assert np.array_equal(zarr_array(file, "cube"), source)
    stored = await tiles.storage.get(
        f"cubes/{COLLECTION}/scene/cube.zarr/cube/c/0/1/1", token=tiles.admin_token
    )
    with zipfile.ZipFile(file) as archive:
        assert archive.read("cube/c/0/1/1") == stored
    file = await fetched(tiles, scene, tmp_path, "zarr", **PART)
    with zarr.storage.ZipStore(file, mode="r") as store, xarray.open_zarr(store) as dataset:
        assert np.array_equal(dataset["cube"].values, part)
        expected = [DESCRIPTION["fwhm_nm"][band] for band in PART_BANDS]
        assert dataset["fwhm_nm"].values.tolist() == expected
        assert dataset["x"].values[0] == 500_315.0
        assert dataset["cube"].attrs["nodata"] == -9999
        assert dataset.attrs["time_coverage_start"] == ACQUIRED_AT
        assert dataset.attrs["properties"] == {"lab:plot": 7}


async def test_bands_keep_their_own_scales_in_every_format(tiles: Tiles, tmp_path: Path) -> None:
    values = random_values((4, 20, 30), "int16")
    scales, offsets = (0.025, 0.025, 0.0125, 0.0125), (0.0, -1.5, 0.0, 0.0)
    path = await tiles.store("gains", values, scale=scales, offset=offsets, unit="radiance")
    part: dict[str, str] = {"bands": "2:4"}
    await fetched(tiles, path, tmp_path, "envi", **part)
    header = spectral.envi.read_envi_header(str(tmp_path / "gains.hdr"))
    assert [float(gain) for gain in header["data gain values"]] == [0.025, 0.0125, 0.0125]
    assert [float(offset) for offset in header["data offset values"]] == [-1.5, 0, 0]
    file = await fetched(tiles, path, tmp_path, "geotiff", **part)
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning):
        tiff = rasterio.open(file)
    with tiff:
        assert (tiff.scales, tiff.offsets) == ((0.025, 0.0125, 0.0125), (-1.5, 0, 0))
        assert np.array_equal(tiff.read(), values[1:])
    physical = values * np.array(scales)[:, None, None] + np.array(offsets)[:, None, None]
    with xarray.open_dataset(await fetched(tiles, path, tmp_path, "netcdf", **part)) as dataset:
        assert dataset["cube"].dtype == np.int16  # no one `scale_factor` is all of theirs
        found = dataset["cube"] * dataset["band_scale"] + dataset["band_offset"]
        np.testing.assert_array_equal(found.values, physical[1:])
        assert set(dataset["cube"].coords) == {"band", "band_scale", "band_offset"}
    matlab = scipy.io.loadmat(await fetched(tiles, path, tmp_path, "mat", **part))
    assert matlab["scale"].tolist() == [[0.025, 0.0125, 0.0125]]
    assert matlab["offset"].tolist() == [[-1.5, 0, 0]]
    file = await fetched(tiles, path, tmp_path, "zarr", **part)
    with zarr.storage.ZipStore(file, mode="r") as store, xarray.open_zarr(store) as dataset:
        assert dataset["band_scale"].values.tolist() == [0.025, 0.0125, 0.0125]
        assert dataset["band_offset"].values.tolist() == [-1.5, 0, 0]
    file = await fetched(tiles, path, tmp_path, "zarr", bands="3,4")
    with zarr.storage.ZipStore(file, mode="r") as store, xarray.open_zarr(store) as dataset:
        assert (dataset["cube"].attrs["scale"], dataset["cube"].attrs["offset"]) == (0.0125, 0)
        assert not dataset.coords.keys() & {"band_scale", "band_offset"}
    answer = await tiles.get(f"{path}/spectrum", params={"x": 3, "y": 2, "scaled": True})
    assert answer.json()["values"] == physical[:, 2, 3].tolist()


async def test_original_files_come_as_they_were(tiles: Tiles, tmp_path: Path) -> None:
    files = {"scan.hdr": b"ENVI\nsamples = 1\n", "scan ü.raw": bytes(range(256)) * 9}
    item = {
        "type": "Feature", "stac_version": "1.1.0", "id": "uploaded", "collection": COLLECTION,
        "geometry": None, "links": [], "properties": {"datetime": "2024-05-06T07:08:09Z"},
        "assets": {},
    }  # fmt: skip
    for number, (name, content) in enumerate(files.items()):
        key = f"raw/{COLLECTION}/u1/{name}"
        await tiles.put(key, content, "application/octet-stream")
        item["assets"][f"original-{number}"] = {
            "href": f"/blobs/{key}", "file:checksum": "1220" + "00" * 32,
        }  # fmt: skip
    await tiles.catalog.create_item(COLLECTION, item, token=tiles.service_token)
    file = await fetched(tiles, f"/cubes/{COLLECTION}/uploaded", tmp_path, "original")
    with zipfile.ZipFile(file) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == files
    del item["assets"]["original-0"]
    labels = {"href": f"/blobs/raw/{COLLECTION}/l1/gt.tif", "roles": ["labels"]}
    item["assets"]["labels-gt"] = labels | {"file:checksum": "1220" + "00" * 32}
    await tiles.catalog.create_item(
        COLLECTION, item | {"id": "one-file"}, token=tiles.service_token
    )
    query = {"params": {"format": "original"}, "headers": {"Range": "bytes=1000-"}}
    answer = await tiles.get(f"/cubes/{COLLECTION}/one-file/export", **query)
    assert (answer.status_code, answer.content) == (206, files["scan ü.raw"][1000:])
    assert "filename*=UTF-8''scan%20%C3%BC.raw" in answer.headers["Content-Disposition"]
    await tiles.catalog.create_collection(
        {"id": "others", "description": "made by a test"}, token=tiles.admin_token
    )
    await tiles.catalog.create_item(
        "others", item | {"id": "borrowed", "collection": "others"}, token=tiles.service_token
    )
    answer = await tiles.get("/cubes/others/borrowed/export", params={"format": "original"})
    assert answer.status_code == 404
    assert "scan ü.raw is not of the collection others" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ({"format": "png"}, "'envi'"),
        ({"format": "npy", "bands": "0"}, "bands are numbered 1 to 37"),
        ({"format": "npy", "bands": "30:38"}, "There is no band 38"),
        ({"format": "npy", "bands": "9:3"}, "the first band comes first"),
        ({"format": "npy", "bands": "3,1:5"}, "names a band twice"),
        ({"format": "npy", "bands": "a"}, "`first:last`"),
        ({"format": "npy", "window": "0,0,601,10"}, "0 <= x0 < x1 <= 600"),
        ({"format": "npy", "window": "5,5,5,10"}, "no part of the cube"),
        ({"format": "npy", "window": "0,0,1.5,1"}, "x0,y0,x1,y1"),
        ({"format": "npy", "bbox": "0,0,1,1"}, "reaches from 500000,4.991e+06 to 518000,5e+06"),
        ({"format": "npy", "bbox": "-1e308,-1e308,1e308,1e308"}, "too large to compute with"),
        ({"format": "npy", "bbox": "0,0,1,1", "window": "0,0,1,1"}, "not both"),
        ({"format": "npy", "interleave": "bip"}, "format=envi"),
        ({"format": "original", "bands": "1"}, "format=original"),
    ],
)
async def test_what_cannot_be_is_told(
    tiles: Tiles, scene: str, query: dict[str, str], told: str
) -> None:
    answer = await tiles.get(f"{scene}/export", params=query)
    assert answer.status_code == 400
    assert answer.json()["type"] == "urn:hsis:problem:invalid-input"
    assert told in answer.json()["detail"]


async def test_a_bbox_selects_the_pixels_that_it_touches(
    tiles: Tiles, scene: str, source: NDArray[Any]
) -> None:
    query = {"format": "npy", "axes": "byx", "bands": "good"}
    good = [band for band in range(BANDS) if band % 7 != 3]
    # From the middle of pixel (10, 20) to the far corner of pixel (19, 39).
    box = "500315,4998800,500600,4999385"
    answer = await tiles.get(f"{scene}/export", params=query | {"bbox": box})
    assert np.array_equal(np.load(io.BytesIO(answer.content)), source[good, 20:40, 10:20])
    ((west, east), (south, north)) = rasterio.warp.transform(
        32633, 4326, [500_315, 500_599], [4_998_801, 4_999_385]
    )
    lonlat = {"bbox": f"{west},{south},{east},{north}", "bbox_crs": "lonlat"}
    answer = await tiles.get(f"{scene}/export", params=query | lonlat)
    assert np.array_equal(np.load(io.BytesIO(answer.content)), source[good, 20:40, 10:20])


async def test_a_broken_download_goes_on_and_an_unchanged_one_is_not_sent(
    tiles: Tiles, scene: str
) -> None:
    for format in ("geotiff", "netcdf", "mat", "npy"):
        query = {"format": format, **PART}
        whole = await tiles.get(f"{scene}/export", params=query)
        etag = whole.headers["ETag"]
        half = {"Range": "bytes=1234567-", "If-Range": etag}
        rest = await tiles.get(f"{scene}/export", params=query, headers=half)
        assert rest.status_code == 206
        assert rest.content == whole.content[1_234_567:]
        some = await tiles.get(
            f"{scene}/export", params=query, headers={"Range": "bytes=99-1300000"}
        )
        assert some.content == whole.content[99:1_300_001]
        assert some.headers["Content-Range"] == f"bytes 99-1300000/{len(whole.content)}"
    answer = await tiles.get(f"{scene}/export", params=query, headers={"If-None-Match": etag})
    assert answer.status_code == 304
    other = {"Range": "bytes=5-", "If-Range": '"another"'}
    answer = await tiles.get(f"{scene}/export", params=query, headers=other)
    assert (answer.status_code, answer.content) == (200, whole.content)
    answer = await tiles.get(f"{scene}/export", params=query, headers={"Range": "bytes=99999999-"})
    assert answer.status_code == 416
    head = await tiles.http.head(
        f"{scene}/export",
        params={"format": "envi"},
        headers={"Authorization": f"Bearer {tiles.admin_token}"},
    )
    assert head.headers["Accept-Ranges"] == "none"
    assert int(head.headers["Content-Length"]) > BANDS * ROWS * COLUMNS * 2
    head = await tiles.http.head(  # a part as Zarr, whose length nobody knows before
        f"{scene}/export",
        params={"format": "zarr", **PART},
        headers={"Authorization": f"Bearer {tiles.admin_token}"},
    )
    assert (head.status_code, "Content-Length" in head.headers) == (200, False)


async def test_the_read_cube_is_not_kept_open_when_a_client_leaves(
    tiles: Tiles, scene: str
) -> None:
    """More clients leave than exports may be under way; the next one is served."""
    for _ in range(6):
        async with tiles.http.stream(
            "GET",
            f"{scene}/export",
            params={"format": "npy"},
            headers={"Authorization": f"Bearer {tiles.admin_token}"},
        ) as answer:
            assert answer.status_code == 200
            await anext(answer.aiter_bytes())
    for _ in range(50):
        answer = await tiles.get(f"{scene}/export", params={"format": "npy", "window": "0,0,1,1"})
        if answer.status_code == 200:
            break
        assert answer.json()["type"] == "urn:hsis:problem:too-many-exports"
        assert answer.headers["Retry-After"]
    assert answer.status_code == 200

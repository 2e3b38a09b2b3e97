"""From files to items: what is stored is what was sent, once, whatever happens on the way."""

import asyncio
import hashlib
import io
import json

import h5py
import numpy as np
import pytest
import rasterio
import scipy.io
import zarr
from rasterio.warp import transform_bounds

from hsis.contracts.uploads import UploadState
from hsis.cube.reader import StoredCube
from hsis.errors import Conflict, NotFound, Unavailable
from hsis_ingest import queue
from hsis_ingest.convert import Conversion
from hsis_ingest.errors import PROBLEMS, InputFault
from tests.ingest.conftest import Ingest
from tests.ingest.hdf5_files import h5
from tests.support.servers import served

COLLECTION = "conversions"


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def linked_elsewhere():
    return h5(lambda file: file.__setitem__("x", h5py.ExternalLink("/etc/passwd", "/x"))).content


def far_too_large():
    return h5(
        lambda file: file.create_dataset("x", (10**6,) * 3, "u1", chunks=(99, 99, 99))
    ).content


async def opened_by_zarr(ingest: Ingest, item: str):
    """The stored cube as zarr-python reads it through fsspec and /blobs."""
    store = zarr.storage.FsspecStore.from_url(
        f"{ingest.storage_url}/blobs/cubes/{COLLECTION}/{item}/cube.zarr",
        storage_options={"headers": {"Authorization": f"Bearer {ingest.admin_token}"}},
        read_only=True,
    )
    return await zarr.api.asynchronous.open_group(store, mode="r")


async def stored_values(ingest: Ingest, item: str):
    group = await opened_by_zarr(ingest, item)
    return await (await group.getitem("cube")).getitem(...)


async def converted(ingest: Ingest, files, **more):
    upload = await ingest.ended(await ingest.send(COLLECTION, files, **more))
    assert upload.state is UploadState.SUCCEEDED, upload.error
    return upload


async def test_a_geotiff_becomes_an_item(ingest: Ingest, tmp_path):
    values = np.random.default_rng(0).integers(1, 3000, (6, 300, 700)).astype(np.int16)
    values[2] = -1
    transform = rasterio.Affine(30, 0, 367935, 0, -30, 5805165)
    path = tmp_path / "scene.tif"
    with rasterio.open(
        path, "w", driver="GTiff", count=6, height=300, width=700, dtype="int16", nodata=-1,
        crs="EPSG:32633", transform=transform,
    ) as dataset:  # fmt: skip
        dataset.write(values)
        for band in range(1, 7):
            dataset.update_tags(band, wavelength=str(400 + 50 * band), wavelength_units="nm")
        dataset.update_tags(start_time="2022-07-24T10:45:26")
    content = path.read_bytes()
    upload = await converted(ingest, {"scene.tif": content})
    assert upload.progress == 1
    item = await ingest.catalog.item(COLLECTION, "scene", token=ingest.admin_token)
    properties = item["properties"]
    assert properties["datetime"] == "2022-07-24T10:45:26Z"
    assert properties["hsi:upload"] == upload.id
    assert properties["proj:code"] == "EPSG:32633"
    assert properties["proj:transform"] == list(transform)[:6]
    bounds = transform_bounds("EPSG:32633", "EPSG:4326", *rasterio.open(path).bounds)
    assert item["bbox"] == pytest.approx(bounds, abs=1e-5)
    assert item["geometry"]["type"] == "Polygon"
    original = item["assets"]["original-1"]
    assert original["file:size"] == len(content)
    assert original["file:checksum"] == "1220" + hashlib.sha256(content).hexdigest()
    assert original["roles"] == ["source"]
    assert original["href"].endswith(f"/blobs/raw/{COLLECTION}/{upload.id}/scene.tif")
    bands = item["assets"]["cube"]["bands"]
    assert [band["eo:center_wavelength"] for band in bands] == pytest.approx(
        [0.45, 0.5, 0.55, 0.6, 0.65, 0.7]
    )
    # The band without a valid pixel is told unfit.
    assert [band["hsi:good_band"] for band in bands] == [True, True, False, True, True, True]
    np.testing.assert_array_equal(await stored_values(ingest, "scene"), values)
    statistics = json.loads(
        await ingest.storage.get(
            f"cubes/{COLLECTION}/scene/statistics.json", token=ingest.admin_token
        )
    )
    assert statistics["bands"][0]["mean"] == pytest.approx(values[0].mean())
    assert statistics["bands"][2]["valid_count"] == 0
    assert f"cubes/{COLLECTION}/scene/thumbnail.webp" in await ingest.keys(f"cubes/{COLLECTION}/")
    with pytest.raises(Conflict, match="exists"):
        await ingest.send(COLLECTION, {"scene.tif": content})


@pytest.mark.parametrize("axes", ["byx", "yxb", "ybx"])
async def test_many_windows_in_little_memory(ingest: Ingest, axes):
    values = np.random.default_rng(1).integers(0, 60000, (20, 260, 1100)).astype(">u2")
    laid = np.ascontiguousarray(values.transpose(["byx".index(a) for a in axes]))
    app = ingest.app(conversion_memory_bytes=4 * 1024**2)
    async with served(app):
        await converted(ingest, {f"{axes}.npy": npy(laid)}, axes=axes)
    stored = await stored_values(ingest, axes)
    assert stored.dtype == np.uint16
    np.testing.assert_array_equal(stored, values)


async def test_a_compressed_matlab_cube_in_little_memory(ingest: Ingest):
    values = np.random.default_rng(3).integers(0, 9000, (260, 600, 20)).astype(np.uint16)
    file = io.BytesIO()
    scipy.io.savemat(file, {"scene": values}, do_compression=True)
    async with served(ingest.app(conversion_memory_bytes=4 * 1024**2)):
        await converted(ingest, {"inflated.mat": file.getvalue()})
    stored = await stored_values(ingest, "inflated")
    np.testing.assert_array_equal(stored, values.transpose(2, 0, 1))


async def test_a_swath_without_a_grid_has_its_outline(ingest: Ingest):
    values = np.random.default_rng(4).integers(0, 99, (40, 30, 5)).astype(np.uint16)
    row, column = np.mgrid[0:40, 0:30]

    def write(file):
        file.create_dataset("cube", data=values, chunks=(16, 30, 5), compression="gzip")
        file["location/lon"] = 20 + column / 29 + row / 390
        file["location/lat"] = 60 - row / 39

    await converted(ingest, {"swath.h5": h5(write).content})
    item = await ingest.catalog.item(COLLECTION, "swath", token=ingest.admin_token)
    assert item["bbox"] == pytest.approx([20, 59, 21.1, 60])
    ring = [[20, 60], [20.1, 59], [21.1, 59], [21, 60], [20, 60]]
    np.testing.assert_allclose(item["geometry"]["coordinates"][0], ring)
    assert "proj:transform" not in item["properties"]
    np.testing.assert_array_equal(await stored_values(ingest, "swath"), values.transpose(2, 0, 1))


async def test_a_classification_of_envi_has_its_classes(ingest: Ingest):
    labels = np.random.default_rng(2).integers(0, 3, (30, 40)).astype(np.uint8)
    header = (
        "ENVI\nsamples = 40\nlines = 30\nbands = 1\ndata type = 1\ninterleave = bsq\n"
        "file type = ENVI Classification\nclasses = 3\n"
        "class names = {Unclassified, Wheat, Bare soil}\n"
        "class lookup = {0, 0, 0, 200, 160, 16, 90, 60, 30}\n"
    )
    files = {"map.hdr": header.encode(), "map.img": labels.tobytes()}
    await converted(ingest, files, id="map")
    item = await ingest.catalog.item(COLLECTION, "map", token=ingest.admin_token)
    classes = item["assets"]["cube"]["classification:classes"]
    assert [(entry["value"], entry["title"], entry["color_hint"]) for entry in classes] == [
        (0, "None", "000000"),
        (1, "Wheat", "C8A010"),
        (2, "Bare soil", "5A3C1E"),
    ]
    np.testing.assert_array_equal(await stored_values(ingest, "map"), labels[None])


async def test_files_of_one_band_become_one_cube(ingest: Ingest, tmp_path):
    values = np.random.default_rng(3).integers(0, 900, (3, 50, 60)).astype(np.int16)
    files = {}
    for place, wavelength in enumerate((1610, 490, 865)):
        path = tmp_path / f"scene_{wavelength}nm.tif"
        with rasterio.open(
            path, "w", driver="GTiff", count=1, height=50, width=60, dtype="int16",
            crs="EPSG:32633", transform=rasterio.Affine(30, 0, 367935, 0, -30, 5805165),
        ) as dataset:  # fmt: skip
            dataset.write(values[place], 1)
        files[path.name] = path.read_bytes()
    await converted(ingest, files, id="bands")
    item = await ingest.catalog.item(COLLECTION, "bands", token=ingest.admin_token)
    bands = item["assets"]["cube"]["bands"]
    assert [band["eo:center_wavelength"] for band in bands] == [0.49, 0.865, 1.61]
    assert item["properties"]["proj:code"] == "EPSG:32633"
    assert {f"original-{number}" for number in (1, 2, 3)} <= item["assets"].keys()
    np.testing.assert_array_equal(await stored_values(ingest, "bands"), values[[1, 2, 0]])


async def test_a_hyperion_product_says_where_it_was_looked_from(ingest: Ingest, tmp_path):
    metadata = 'SENSOR_ID = "HYPERION"\nSUN_AZIMUTH = -100\nSCALING_FACTOR_VNIR = 40\n'
    files = {"EO1H1_MTL_L1T.TXT": metadata.encode()}
    for band in (8, 100):
        path = tmp_path / f"EO1H1_B{band:03d}_L1T.TIF"
        with rasterio.open(
            path, "w", driver="GTiff", count=1, height=5, width=6, dtype="int16",
            crs="EPSG:32633", transform=rasterio.Affine(30, 0, 367935, 0, -30, 5805165),
        ) as dataset:  # fmt: skip
            dataset.write(np.full((1, 5, 6), band, np.int16))
        files[path.name] = path.read_bytes()
    await converted(ingest, files, id="hyperion", metadata={"platform": "Earth Observing-1"})
    item = await ingest.catalog.item(COLLECTION, "hyperion", token=ingest.admin_token)
    properties = item["properties"]
    assert (properties["view:sun_azimuth"], properties["instruments"]) == (260, ["hyperion"])
    assert properties["platform"] == "Earth Observing-1"  # the uploader's word is the last
    assert [url for url in item["stac_extensions"] if "/view/" in url]
    root = json.loads(
        await ingest.storage.get(
            f"cubes/{COLLECTION}/hyperion/cube.zarr/zarr.json", token=ingest.admin_token
        )
    )
    assert root["attributes"]["instrument"] == "hyperion"  # exports have it too
    assert [band["name"] for band in item["assets"]["cube"]["bands"]] == ["B008", "B100"]


async def test_real_files_are_stored_bit_for_bit(ingest: Ingest, data_folder):
    enmap = data_folder / "enmap_potsdam" / "images" / "enmap_potsdam_tile_128_0.tif"
    corn = sorted((data_folder / "corn_kernel").glob("corn*"))
    jasper = data_folder / "jasper_ridge" / "jasperRidge2_R198.mat"
    await converted(ingest, {enmap.name: enmap.read_bytes()}, id="enmap")
    await converted(ingest, {path.name: path.read_bytes() for path in corn}, id="corn")
    await converted(ingest, {jasper.name: jasper.read_bytes()}, id="jasper", variable="Y")
    with rasterio.open(enmap) as dataset:
        np.testing.assert_array_equal(await stored_values(ingest, "enmap"), dataset.read())
    raw = np.fromfile(corn[1], "<u2").reshape(31, 580, 43).transpose(1, 0, 2)
    np.testing.assert_array_equal(await stored_values(ingest, "corn"), raw)
    assert (await stored_values(ingest, "jasper")).shape == (198, 100, 100)


BAD = {
    "unknown-format": {"x.txt": b"some words"},
    "missing-header": {"x.raw": b"\1" * 50},
    "missing-data": {"x.hdr": b"ENVI\n"},
    "header-mismatch": {
        "x.hdr": b"ENVI\nsamples=2\nlines=2\nbands=2\ndata type=1\n",
        "x.raw": bytes(9),
    },
    "truncated-file": {"x.npy": npy(np.zeros((9, 9, 9)))[:-1]},
    "unsupported-format": {"x.npy": npy(np.zeros((3, 3, 3), "S2"))},
    "external-reference": {"x.h5": linked_elsewhere()},
    "decompression-bomb": {"x.h5": far_too_large()},
    "variable-needed": {"x.npy": npy(np.zeros((9, 9)))},
    "cube-too-large": {"x.npy": npy(np.ones((2, 1, 2**16 + 1), np.uint8))},
    "no-valid-data": {"x.npy": npy(np.full((600, 9, 3), np.nan))},
}


@pytest.mark.parametrize("slug", BAD)
async def test_bad_input_fails_at_once_and_leaves_nothing(ingest: Ingest, slug):
    upload = await ingest.ended(await ingest.send(COLLECTION, BAD[slug], id=f"bad-{slug}"))
    assert upload.state is UploadState.FAILED
    assert upload.error.slug == slug
    assert upload.error.status == 422
    assert upload.attempts == 1
    assert await ingest.keys(f"raw/{COLLECTION}/{upload.id}/") == []
    assert await ingest.keys(f"cubes/{COLLECTION}/bad-{slug}/") == []
    with pytest.raises(NotFound):
        await ingest.catalog.item(COLLECTION, f"bad-{slug}", token=ingest.admin_token)
    # The name is free again.
    await converted(ingest, {"x.npy": npy(np.ones((4, 4, 4)))}, id=f"bad-{slug}")


def test_every_fault_has_a_slug_of_its_own():
    kinds = InputFault.__subclasses__()
    assert all(kind in PROBLEMS for kind in kinds)
    assert len({PROBLEMS[kind].slug for kind in kinds}) == len(kinds)


async def test_what_passes_is_tried_again(ingest: Ingest, monkeypatch):
    write = Conversion._write_rest
    failures = iter([RuntimeError("a bug"), Unavailable("away"), Unavailable("away")])

    async def faulty(self, info, statistics):
        for error in failures:
            raise error
        await write(self, info, statistics)

    monkeypatch.setattr(Conversion, "_write_rest", faulty)
    upload = await converted(ingest, {"again.npy": npy(np.ones((4, 5, 6)))})
    assert upload.attempts == 2  # an outage is none


async def test_what_does_not_pass_fails_in_the_end(ingest: Ingest, monkeypatch):
    async def faulty(*_):
        raise RuntimeError("secret words of a bug")

    monkeypatch.setattr(Conversion, "_write_rest", faulty)
    upload = await ingest.ended(
        await ingest.send(COLLECTION, {"never.npy": npy(np.ones((2, 2, 2)))})
    )
    assert upload.state is UploadState.FAILED
    assert upload.attempts == 3
    assert upload.error.slug == "internal"
    assert "secret" not in upload.error.detail
    # It may not be the file's fault: it is kept for another try.
    assert upload.expires_at is not None
    assert len(await ingest.keys(f"raw/{COLLECTION}/{upload.id}/")) == 1


async def test_an_item_that_is_registered_already_is_success(ingest: Ingest, monkeypatch):
    succeed = queue.succeed
    calls = []

    async def lost_the_first_time(db, token):
        calls.append(token)
        if len(calls) == 1:
            raise ConnectionError("the worker dies here")
        return await succeed(db, token)

    monkeypatch.setattr(queue, "succeed", lost_the_first_time)
    upload = await converted(ingest, {"once.npy": npy(np.ones((3, 3, 3)))})
    assert (upload.attempts, len(calls)) == (1, 2)
    np.testing.assert_array_equal(await stored_values(ingest, "once"), np.ones((3, 3, 3)))


async def test_a_removed_item_is_swept_and_its_name_free(ingest: Ingest):
    upload = await converted(ingest, {"gone.npy": npy(np.full((3, 3, 3), 8.0))})
    raw = f"raw/{COLLECTION}/{upload.id}/"
    assert await ingest.keys(raw)
    await ingest.catalog.delete_item(COLLECTION, "gone", token=ingest.admin_token)
    # At once, while the sweep is on its way.
    second = await converted(ingest, {"gone.npy": npy(np.full((3, 3, 3), 2.0))})
    assert await ingest.keys(raw)  # in the trash
    await ingest.catalog.purge(COLLECTION, token=ingest.admin_token)
    await ingest.emptied(raw)
    await asyncio.sleep(0.3)
    np.testing.assert_array_equal(await stored_values(ingest, "gone"), np.full((3, 3, 3), 2.0))
    await ingest.catalog.delete_item(COLLECTION, "gone", token=ingest.admin_token)
    await ingest.catalog.purge(COLLECTION, token=ingest.admin_token)
    await ingest.emptied(f"raw/{COLLECTION}/{second.id}/", f"cubes/{COLLECTION}/gone/")


async def test_a_large_cube_has_overviews(ingest: Ingest):
    values = np.random.default_rng(2).random((3, 40, 1100), np.float32)
    await converted(ingest, {"wide.npy": npy(values)}, axes="byx")
    reader = await StoredCube.open(_Reads(ingest), f"cubes/{COLLECTION}/wide/cube.zarr/")
    half = await reader.read(None, (0, 20), (0, 550), 2)
    expected = values.reshape(3, 20, 2, 550, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(half, expected, rtol=1e-6)


class _Reads:
    def __init__(self, ingest: Ingest):
        self._ingest = ingest

    async def get(self, key):
        return await self._ingest.storage.get(key, token=self._ingest.admin_token)

    async def get_range(self, key, start, length):
        token = self._ingest.admin_token
        return await self._ingest.storage.get_range(key, start, length, token=token)


async def test_what_a_job_makes_stays_where_a_failed_upload_of_the_id_is_given_up(
    ingest: Ingest, make_token
):
    token, service = ingest.admin_token, make_token("service:inference", scopes=("service",))
    sent = [await ingest.send(COLLECTION, {"a.npy": b"none"}, id=id) for id in ("result", "next")]
    failed = [await ingest.ended(upload) for upload in sent]
    assert {upload.state for upload in failed} == {UploadState.FAILED}
    reserved = await ingest.http.post(
        f"{ingest.catalog_url}/stac/reservations",
        json={"collection": COLLECTION, "item": "result", "holder": "job:1"},
        headers={"Authorization": f"Bearer {service}"},
    )
    assert reserved.status_code == 200
    key = f"cubes/{COLLECTION}/result/cube.zarr/cube/c/0/0/0"
    await ingest.storage.put(key, b"a shard", token=service)
    originals = f"raw/{COLLECTION}/{failed[1].id}/"
    await ingest.storage.put(originals + "a.npy", b"none", token=service)
    for upload in failed:
        await ingest.client.delete(upload.id, token=token)
    await ingest.emptied(originals)  # they are removed in order
    assert await ingest.keys(f"cubes/{COLLECTION}/result/") == [key]

"""Corrected metadata: cube and item alike, whatever breaks off in the middle, and never torn."""

import asyncio
import hashlib
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import asyncpg
import httpx
import numpy as np
import pytest
import xarray
import zarr

from hsis.clients.catalog import CatalogClient
from hsis.clients.storage import StorageClient
from hsis.contracts.access import Caller, Scope
from hsis.contracts.metadata import CubeMetadata
from hsis.contracts.uploads import UploadState
from hsis.cube.layout import CubeInfo
from hsis.cube.reader import StoredCube
from hsis.errors import Conflict, Forbidden, InvalidInput, NotFound, Unavailable
from hsis.service.http import ServiceAuth, open_http
from hsis.service.postgres import open_pool
from hsis_ingest import corrections
from hsis_ingest.corrected import check_changes
from hsis_ingest.corrections import Corrector
from hsis_ingest.errors import MetadataMismatch
from hsis_ingest.settings import Settings
from tests.ingest.conftest import Ingest
from tests.ingest.test_given import VALUES, npy
from tests.support.platform import SERVICE_SECRET, service_app
from tests.support.servers import served

COLLECTION = "corrected"
SOMEBODY = Caller(
    subject=str(uuid.uuid4()), name="somebody", scopes=frozenset({Scope.WRITE}), token="x"
)
SAID = {"wavelengths": [450, 550, 650], "fwhm": [5, 5, 5], "unit": "DN", "nodata": 59}


async def stored(ingest: Ingest, item: str, **said):
    files = {f"{item}.npy": npy()}
    upload = await ingest.ended(await ingest.send(COLLECTION, files, metadata=SAID | said))
    assert upload.state is UploadState.SUCCEEDED, upload.error


@asynccontextmanager
async def inside(ingest: Ingest) -> AsyncIterator[tuple[asyncpg.Pool, httpx.AsyncClient]]:
    """What a Corrector of the service works with."""
    settings = Settings(**ingest.settings)
    async with (
        open_pool(settings, "ingest") as pool,
        open_http(settings, ServiceAuth("ingest", settings)) as http,
    ):
        yield pool, http


async def item_of(ingest: Ingest, item: str):
    return await ingest.catalog.item(COLLECTION, item, token=ingest.admin_token)


async def dataset_of(ingest: Ingest, item: str) -> xarray.Dataset:
    """The stored cube as xarray reads it; in a thread, since the servers are in this one."""
    return await asyncio.to_thread(_loaded, ingest, item)


def _loaded(ingest: Ingest, item: str) -> xarray.Dataset:
    store = zarr.storage.FsspecStore.from_url(
        f"{ingest.storage_url}/blobs/cubes/{COLLECTION}/{item}/cube.zarr",
        storage_options={"headers": {"Authorization": f"Bearer {ingest.admin_token}"}},
        read_only=True,
    )
    return xarray.open_zarr(store, consolidated=True).load()


async def test_cube_and_item_are_corrected_alike(ingest: Ingest):
    await stored(ingest, "all")
    before = await item_of(ingest, "all")
    changes = {
        "wavelengths": [0.5, 0.6, 0.7],
        "fwhm": None,
        "good_bands": [True, False, True],
        "band_names": ["a", "b", "c"],
        "unit": "reflectance",
        "scale": 0.01,
        "offset": 2,
        "nodata": 59,
        "sensor": "Cubert",
        "datetime": "2024-06-01T10:30:00+02:00",
        "place": {"type": "Point", "coordinates": [11.5, 48.1]},
        "license": "CC0-1.0",
        "properties": {"lab:n": 3},
    }
    known = await ingest.client.correct(COLLECTION, "all", changes, token=ingest.admin_token)
    assert known.metadata["wavelengths"] == [500, 600, 700]
    assert "fwhm" not in known.metadata
    [entry] = known.corrections
    assert (entry.by, entry.applied) == ("admin", True)
    assert entry.before["unit"] == "DN"
    assert entry.before["fwhm"] == [5, 5, 5]
    assert entry.after["unit"] == "reflectance"
    assert known.sources["unit"] == "correction"

    item = await item_of(ingest, "all")
    cube, properties = item["assets"]["cube"], item["properties"]
    assert [band["eo:center_wavelength"] for band in cube["bands"]] == [0.5, 0.6, 0.7]
    assert not any("eo:full_width_half_max" in band for band in cube["bands"])
    assert [band["hsi:good_band"] for band in cube["bands"]] == [True, False, True]
    assert (cube["unit"], cube["raster:scale"], cube["raster:offset"]) == ("reflectance", 0.01, 2)
    assert (properties["hsi:wavelength_min"], properties["hsi:wavelength_max"]) == (0.5, 0.7)
    assert properties["datetime"] == "2024-06-01T08:30:00Z"
    assert properties["instruments"] == ["Cubert"]
    assert (properties["license"], properties["lab:n"]) == ("CC0-1.0", 3)
    assert item["geometry"] == {"type": "Point", "coordinates": [11.5, 48.1]}
    assert item["bbox"] == [11.5, 48.1, 11.5, 48.1]
    assert properties["updated"] > before["properties"]["updated"]
    assert properties["created"] == before["properties"]["created"]
    untouched = {"hsi:upload", "hsi:source_format", "cube:dimensions", "hsi:data_type"}
    assert all(properties[name] == before["properties"][name] for name in untouched)
    assert item["assets"]["original-1"] == before["assets"]["original-1"]
    found = await ingest.catalog.search(
        {"collections": [COLLECTION], "bbox": [11, 48, 12, 49]}, token=ingest.admin_token
    )
    assert [feature["id"] for feature in found["features"]] == ["all"]

    dataset = await dataset_of(ingest, "all")
    assert dataset["wavelength_nm"].values.tolist() == [500, 600, 700]
    assert dataset["good_band"].values.tolist() == [True, False, True]
    assert "fwhm_nm" not in dataset.coords
    assert dataset["cube"].attrs["units"] == "reflectance"
    assert (dataset["cube"].attrs["scale"], dataset["cube"].attrs["offset"]) == (0.01, 2)
    assert dataset["cube"].attrs["band_names"] == ["a", "b", "c"]
    assert dataset.attrs["instrument"] == "Cubert"
    assert dataset.attrs["time_coverage_start"] == "2024-06-01T08:30:00Z"
    assert dataset.attrs["geospatial_lon_max"] == 11.5
    assert dataset.attrs["properties"] == {"lab:n": 3}
    assert np.array_equal(dataset["cube"].values, VALUES.transpose(2, 0, 1))

    # And back: null takes away what was said.
    gone = {"place": None, "datetime": None, "sensor": None, "properties": {"lab:n": None}}
    await ingest.client.correct(COLLECTION, "all", gone, token=ingest.admin_token)
    item = await item_of(ingest, "all")
    assert item["geometry"] is None
    assert "bbox" not in item
    assert item["properties"]["datetime"] == item["properties"]["created"]
    assert not {"instruments", "lab:n", "proj:code"} & set(item["properties"])
    assert set((await dataset_of(ingest, "all")).attrs) == {"Conventions", "license"}
    keys = await ingest.keys(f"cubes/{COLLECTION}/all/cube.zarr/fwhm_nm/")
    assert keys == []  # nobody can still be reading with the root that named them
    await checksums_are_true(ingest, "all")


async def test_scales_of_each_band(ingest: Ingest):
    await stored(ingest, "gains", scale=[0.5, 0.25, 0.125])
    cube = (await item_of(ingest, "gains"))["assets"]["cube"]
    assert [band["raster:scale"] for band in cube["bands"]] == [0.5, 0.25, 0.125]
    assert [band["raster:offset"] for band in cube["bands"]] == [0, 0, 0]
    assert not {"raster:scale", "raster:offset"} & set(cube)
    dataset = await dataset_of(ingest, "gains")
    assert dataset["band_scale"].values.tolist() == [0.5, 0.25, 0.125]
    assert not {"scale", "offset"} & set(dataset["cube"].attrs)

    token = ingest.admin_token
    for wrong in ([1, 2], [1, 0, 2]):
        with pytest.raises(InvalidInput, match=r"3 bands|not 0"):
            await ingest.client.correct(COLLECTION, "gains", {"scale": wrong}, token=token)
    changes = {"scale": [2, 2, 2], "offset": [0, 1, -1]}
    known = await ingest.client.correct(COLLECTION, "gains", changes, token=token)
    assert (known.metadata["scale"], known.metadata["offset"]) == (2, [0, 1, -1])
    dataset = await dataset_of(ingest, "gains")
    assert dataset["band_scale"].values.tolist() == [2, 2, 2]
    assert dataset["band_offset"].values.tolist() == [0, 1, -1]
    await checksums_are_true(ingest, "gains")

    known = await ingest.client.correct(COLLECTION, "gains", {"offset": None}, token=token)
    assert (known.metadata["scale"], known.metadata["offset"]) == (2, 0)
    cube = (await item_of(ingest, "gains"))["assets"]["cube"]
    assert (cube["raster:scale"], cube["raster:offset"]) == (2, 0)
    assert not any("raster:scale" in band for band in cube["bands"])
    dataset = await dataset_of(ingest, "gains")
    assert (dataset["cube"].attrs["scale"], dataset["cube"].attrs["offset"]) == (2, 0)
    assert not {"band_scale", "band_offset"} & set(dataset.coords)
    await checksums_are_true(ingest, "gains")


async def checksums_are_true(ingest: Ingest, item: str):
    prefix, token = f"cubes/{COLLECTION}/{item}/", ingest.admin_token
    kept = json.loads(await ingest.storage.get(prefix + "checksums.json", token=token))["objects"]
    stored = {key.removeprefix(prefix) for key in await ingest.keys(prefix)} - {"checksums.json"}
    assert set(kept) == stored
    for key in stored:
        content = await ingest.storage.get(prefix + key, token=token)
        assert kept[key]["sha256"] == hashlib.sha256(content).hexdigest(), key


async def test_tiles_notice(ingest: Ingest):
    await stored(ingest, "seen")
    common = ("token_public_key", "catalog_url", "storage_proxy_url")
    settings = {name: ingest.settings[name] for name in common} | {"access_cache_s": 0}
    app = service_app("hsis_tiles", **settings, service_secret=SERVICE_SECRET + "tiles")
    async with served(app) as url:
        spectrum = f"{url}/cubes/{COLLECTION}/seen/spectrum?x=1&y=0&scaled=true"
        headers = {"Authorization": f"Bearer {ingest.admin_token}"}
        first = await ingest.http.get(spectrum, headers=headers)
        assert first.json()["wavelengths_nm"] == [450, 550, 650]
        headers["If-None-Match"] = first.headers["ETag"]
        assert (await ingest.http.get(spectrum, headers=headers)).status_code == 304
        for wavelengths, scale in (([1, 2, 3], 2), ([7, 8, 9], 3), ([450, 550, 650], 1)):
            changes = {"wavelengths": wavelengths, "wavelength_unit": "nm", "scale": scale}
            await ingest.client.correct(COLLECTION, "seen", changes, token=ingest.admin_token)
            told = await ingest.http.get(spectrum, headers=headers)
            assert told.status_code == 200
            assert told.json()["wavelengths_nm"] == wavelengths
            assert told.json()["values"] == [scale * value for value in (3, 4, 5)]


class Cut(StorageClient):
    """The store, until it has taken `left` writes."""

    left = 0

    async def put(self, key, content, **more):
        if self.left == 0:
            raise Unavailable("the store is away")
        self.left -= 1
        return await super().put(key, content, **more)


class Between(StorageClient):
    """The store, which has somebody do something before it takes the first write."""

    other = None

    async def put(self, key, content, **more):
        if self.other is not None:
            other, self.other = self.other, None
            await other()
        return await super().put(key, content, **more)


class CutCatalog(CatalogClient):
    """The catalog, which goes away before it takes an item."""

    async def change_item(self, collection, item, change, **more):
        raise Unavailable("the catalog is away")


class Restoring(CatalogClient):
    """The catalog, where somebody restores an entry of the trash before that is looked at."""

    entry, editor = None, None

    async def trash(self, collection, **more):
        if self.entry is not None:
            entry, self.entry = self.entry, None
            await self.restore(collection, entry, token=self.editor)
        return await super().trash(collection, **more)


async def test_a_correction_that_breaks_off_anywhere_is_completed(ingest: Ingest):
    await stored(ingest, "broken")
    prefix = f"cubes/{COLLECTION}/broken/cube.zarr/"
    async with inside(ingest) as (pool, http):
        storage = StorageClient(http, ingest.storage_url)
        cut = Cut(http, ingest.storage_url)
        catalog = CatalogClient(http, ingest.catalog_url)
        cut_catalog = CutCatalog(http, ingest.catalog_url)

        async def described():
            info = (await StoredCube.open(storage, prefix)).info
            return info.wavelengths_nm, info.fwhm_nm, info.unit, info.good_bands

        for writes in range(20):
            before = await described()
            odd = writes % 2
            changes = CubeMetadata(
                wavelengths=[1000.0 + writes, 1100, 1200],
                fwhm=[1.0 + writes] * 3 if odd else None,
                unit=f"unit {writes}",
                good_bands=[True, bool(odd), True],
            )
            cut.left = writes
            with pytest.raises(Unavailable):
                await Corrector(pool, cut, cut_catalog).correct(
                    COLLECTION, "broken", SOMEBODY, changes
                )
            wanted = (
                (1000 + writes, 1100, 1200),
                tuple(changes.fwhm) if changes.fwhm else None,
                f"unit {writes}",
                (True, bool(odd), True),
            )
            found = await described()
            assert found in {before, wanted}
            # The worker of ingest completes it too; whoever comes first.
            await Corrector(pool, storage, catalog).finish_open()
            assert await described() == wanted
            item = await item_of(ingest, "broken")
            bands = item["assets"]["cube"]["bands"]
            assert [band["eo:center_wavelength"] for band in bands] == [
                value / 1000 for value in wanted[0]
            ]
            assert item["assets"]["cube"]["unit"] == f"unit {writes}"
            await checksums_are_true(ingest, "broken")
            if found == wanted:  # all is written: it broke off between the cube and the item
                break
    assert 5 < writes < 19
    known = await ingest.client.metadata(COLLECTION, "broken", token=ingest.admin_token)
    assert all(entry.applied for entry in known.corrections)
    assert known.corrections[0].by == "somebody"
    assert known.corrections[1].at < datetime.now(UTC)


async def test_what_a_user_writes_into_the_item_while_it_is_corrected_stays(ingest: Ingest):
    await stored(ingest, "twice")

    async def entitle():
        document = await item_of(ingest, "twice")
        document["properties"]["title"] = "The field"
        await ingest.catalog.replace_item(COLLECTION, document, token=ingest.admin_token)

    async with inside(ingest) as (pool, http):
        storage = Between(http, ingest.storage_url)
        storage.other = entitle
        catalog = CatalogClient(http, ingest.catalog_url)
        changes = CubeMetadata(unit="x")
        made = await Corrector(pool, storage, catalog).correct(
            COLLECTION, "twice", SOMEBODY, changes
        )
    now = await item_of(ingest, "twice")
    for item in (made, now):
        assert item["assets"]["cube"]["unit"] == "x"
        assert item["properties"]["title"] == "The field"


async def test_a_correction_of_an_item_that_goes_away_waits_in_the_trash_and_goes_with_it(
    ingest: Ingest,
):
    token = ingest.admin_token
    await stored(ingest, "going")
    async with inside(ingest) as (pool, http):
        cut = Cut(http, ingest.storage_url)
        catalog = CatalogClient(http, ingest.catalog_url)
        with pytest.raises(Unavailable):
            await Corrector(pool, cut, catalog).correct(
                COLLECTION, "going", SOMEBODY, CubeMetadata(unit="x")
            )
        storage = StorageClient(http, ingest.storage_url)
        for gone in (False, True):
            await ingest.catalog.delete_item(COLLECTION, "going", token=token)
            await Corrector(pool, storage, catalog).finish_open()
            [entry] = (await ingest.catalog.trash(COLLECTION, item="going", token=token)).entries
            if gone:
                await ingest.catalog.purge(COLLECTION, entry.id, token=token)
                await Corrector(pool, storage, catalog).finish_open()
                continue
            restoring = Restoring(http, ingest.catalog_url)
            restoring.entry, restoring.editor = entry.id, token
            await Corrector(pool, storage, restoring).finish_open()
            assert (await item_of(ingest, "going"))["assets"]["cube"]["unit"] == "x"
            assert (await dataset_of(ingest, "going"))["cube"].attrs["units"] == "x"
            with pytest.raises(Unavailable):
                await Corrector(pool, cut, catalog).correct(
                    COLLECTION, "going", SOMEBODY, CubeMetadata(unit="y")
                )
        left = await pool.fetchval(
            "SELECT count(*) FROM corrections WHERE item = 'going' AND applied_at IS NULL"
        )
    assert left == 0


async def test_corrections_that_wait_in_the_trash_keep_no_others_from_their_end(
    idle_ingest: Ingest, monkeypatch
):
    ingest = idle_ingest
    async with ingest.replica():
        await stored(ingest, "ahead")
        await stored(ingest, "behind")
    monkeypatch.setattr(corrections, "BATCH", 1)
    async with inside(ingest) as (pool, http):
        cut = Cut(http, ingest.storage_url)
        catalog = CatalogClient(http, ingest.catalog_url)
        for item in ("ahead", "behind"):
            with pytest.raises(Unavailable):
                await Corrector(pool, cut, catalog).correct(
                    COLLECTION, item, SOMEBODY, CubeMetadata(unit="x")
                )
        await ingest.catalog.delete_item(COLLECTION, "ahead", token=ingest.admin_token)
        storage = StorageClient(http, ingest.storage_url)
        await Corrector(pool, storage, catalog).finish_open()
    assert (await item_of(ingest, "behind"))["assets"]["cube"]["unit"] == "x"


@pytest.mark.parametrize(
    ("changes", "error", "told"),
    [
        ({}, InvalidInput, "Nothing is to be changed"),
        ({"wavelengths": [1, 2]}, InvalidInput, "2 values; the cube has 3 bands"),
        ({"nodata": 0}, Conflict, "Upload the files again"),
        ({"nodata": None}, Conflict, "nodata is 59"),
        ({"wavelength_unit": "um"}, InvalidInput, "wavelength_unit is of"),
        ({"wavelengths_file": "a.csv"}, InvalidInput, "a file of an upload"),
        ({"properties": {"created": "x"}}, InvalidInput, "set by HSIS"),
        ({"colour": "red"}, InvalidInput, "Extra inputs"),
    ],
)
async def test_what_cannot_be_is_refused(ingest: Ingest, changes, error, told):
    try:
        await ingest.client.metadata(COLLECTION, "refusing", token=ingest.admin_token)
    except NotFound:
        await stored(ingest, "refusing")
    before = await item_of(ingest, "refusing")
    with pytest.raises(error, match=told):
        await ingest.client.correct(COLLECTION, "refusing", changes, token=ingest.admin_token)
    assert await item_of(ingest, "refusing") == before


def test_a_grid_is_not_taken_away():
    """Nothing could give it back: a place is only for cubes without one."""
    grid = CubeInfo(
        (3, 4, 5), np.dtype("int16"), crs_wkt="EPSG:32633", transform=(1, 0, 0, 0, -1, 0)
    )
    with pytest.raises(MetadataMismatch, match="a grid of its own"):
        check_changes(grid, CubeMetadata(place=None))
    check_changes(CubeInfo((3, 4, 5), np.dtype("int16")), CubeMetadata(place=None))


async def test_editors_correct_and_viewers_look(ingest: Ingest):
    await stored(ingest, "guarded")
    url = f"{ingest.catalog_url}/stac/collections/{COLLECTION}"
    headers = {"Authorization": f"Bearer {ingest.admin_token}"}
    with pytest.raises(NotFound):
        await ingest.client.metadata(COLLECTION, "none", token=ingest.admin_token)
    reading = ingest.make_token(subject=str(uuid.uuid4()), scopes=["read"])
    for call in (ingest.client.correct(COLLECTION, "guarded", {"unit": "x"}, token=reading),):
        with pytest.raises((Forbidden, NotFound)):
            await call
    await ingest.client.correct(COLLECTION, "guarded", {"unit": "y"}, token=ingest.admin_token)
    public = f"{ingest.catalog_url}/auth/collections/{COLLECTION}/public"
    await ingest.http.put(public, json={"public": True}, headers=headers)
    anyone = await ingest.client.metadata(COLLECTION, "guarded")
    await ingest.http.put(public, json={"public": False}, headers=headers)
    assert anyone.metadata["unit"] == "y"
    assert anyone.corrections == []  # who works here is not for everyone to know
    elsewhere = {
        "type": "Feature", "stac_version": "1.1.0", "id": "elsewhere", "geometry": None,
        "properties": {"datetime": "2024-01-01T00:00:00Z"}, "links": [],
        "assets": {"cube": {"href": "https://example.org/cube.zarr"}},
    }  # fmt: skip
    made = await ingest.http.post(f"{url}/items", json=elsewhere, headers=headers)
    assert made.status_code == httpx.codes.CREATED
    with pytest.raises(Conflict, match="no cube of its own"):
        await ingest.client.correct(
            COLLECTION, "elsewhere", {"unit": "x"}, token=ingest.admin_token
        )

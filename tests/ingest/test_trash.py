"""Deleted items whose original files are kept, and made into items again."""

import asyncio
import hashlib
import io
import json
from datetime import UTC, datetime

import numpy as np
import pytest
import tifffile
import zarr

from hsis.contracts.labels import LabelRequest
from hsis.contracts.metadata import CubeMetadata
from hsis.contracts.trash import RestoreRequest
from hsis.cube.layout import CubeInfo
from hsis.cube.reader import StoredCube
from hsis.cube.stac import ItemParts, item_document
from hsis.errors import Conflict, NotFound
from hsis_ingest import queue
from hsis_ingest.as_it_was import Before
from hsis_ingest.convert import Conversion
from hsis_ingest.corrected import acquisition_of
from tests.ingest.conftest import Ingest

COLLECTION = "thrown-away"


def npy(value: float) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.full((3, 4, 5), value, np.float32))
    return buffer.getvalue()


async def converted(ingest: Ingest, value: float, item: str):
    upload = await ingest.ended(await ingest.send(COLLECTION, {"a.npy": npy(value)}, id=item))
    assert upload.error is None
    return upload


async def value_of(ingest: Ingest, item: str) -> float:
    class Reads:
        async def get(self, key):
            return await ingest.storage.get(key, token=ingest.admin_token)

        async def get_range(self, key, start, length):
            return await ingest.storage.get_range(key, start, length, token=ingest.admin_token)

    cube = await StoredCube.open(Reads(), f"cubes/{COLLECTION}/{item}/cube.zarr/")
    values = await cube.read(None, (0, 3), (0, 4))
    assert np.all(values == values[0, 0, 0])
    return float(values[0, 0, 0])


async def entry_of(ingest: Ingest, item: str):
    page = await ingest.catalog.trash(COLLECTION, item=item, token=ingest.admin_token)
    return page.entries[0]


async def test_an_id_in_the_trash_is_used_again_and_the_first_comes_back_under_another(
    ingest: Ingest,
):
    token = ingest.admin_token
    first = await converted(ingest, 1.0, "scene")
    await ingest.catalog.delete_item(COLLECTION, "scene", token=token)
    await converted(ingest, 2.0, "scene")
    entry = await entry_of(ingest, "scene")
    assert (entry.cube_kept, entry.upload) == (False, first.id)
    with pytest.raises(Conflict, match="/ingest/restore"):
        await ingest.catalog.restore(COLLECTION, entry.id, token=token)
    request = RestoreRequest(collection=COLLECTION, entry=entry.id)
    with pytest.raises(Conflict, match="another id"):
        await ingest.client.restore(request, token=token)
    request = RestoreRequest(collection=COLLECTION, entry=entry.id, id="scene-1")
    again = await ingest.ended(await ingest.client.restore(request, token=token))
    assert again.error is None
    assert (await value_of(ingest, "scene-1"), await value_of(ingest, "scene")) == (1.0, 2.0)
    with pytest.raises(NotFound):
        await ingest.catalog.trash_entry(COLLECTION, entry.id, token=token)
    item = await ingest.catalog.item(COLLECTION, "scene-1", token=token)
    original = item["assets"]["original-1"]
    assert f"/raw/{COLLECTION}/{first.id}/a.npy" in original["href"]
    # It can be thrown away and come back once more; then all of it goes.
    await ingest.catalog.delete_item(COLLECTION, "scene-1", token=token)
    entry = await entry_of(ingest, "scene-1")
    request = RestoreRequest(collection=COLLECTION, entry=entry.id, id="scene-2")
    assert (await ingest.ended(await ingest.client.restore(request, token=token))).error is None
    assert await value_of(ingest, "scene-2") == 1.0
    await ingest.catalog.delete_item(COLLECTION, "scene-2", token=token)
    await ingest.catalog.purge(COLLECTION, token=token)
    await ingest.emptied(f"raw/{COLLECTION}/{first.id}/", f"cubes/{COLLECTION}/scene-2/")
    assert await value_of(ingest, "scene") == 2.0


async def test_a_restored_cube_was_never_touched(ingest: Ingest):
    token = ingest.admin_token
    await converted(ingest, 3.0, "whole")
    before = await ingest.keys(f"cubes/{COLLECTION}/whole/")
    await ingest.catalog.delete_item(COLLECTION, "whole", token=token)
    entry = await entry_of(ingest, "whole")
    await ingest.catalog.restore(COLLECTION, entry.id, token=token)
    assert await ingest.keys(f"cubes/{COLLECTION}/whole/") == before
    assert await value_of(ingest, "whole") == 3.0


async def test_a_restoration_that_is_given_up_keeps_the_files_in_the_trash(idle_ingest: Ingest):
    token = idle_ingest.admin_token
    upload = await idle_ingest.send(COLLECTION, {"a.npy": npy(4.0)}, id="given-up")
    async with idle_ingest.replica():
        await idle_ingest.ended(upload)
        await idle_ingest.catalog.delete_item(COLLECTION, "given-up", token=token)
    entry = await entry_of(idle_ingest, "given-up")
    request = RestoreRequest(collection=COLLECTION, entry=entry.id, id="other")
    again = await idle_ingest.client.restore(request, token=token)
    await idle_ingest.client.delete(again.id, token=token)
    async with idle_ingest.replica():
        request = RestoreRequest(collection=COLLECTION, entry=entry.id)
        last = await idle_ingest.ended(await idle_ingest.client.restore(request, token=token))
    assert last.error is None
    assert await value_of(idle_ingest, "given-up") == 4.0


TRUTH = np.arange(12, dtype=np.uint8).reshape(3, 4) % 3
CORRECTIONS = (
    {"wavelengths": [400, 500, 600, 700, 801.3], "unit": "DN", "sensor": "Cubert"},
    {"good_bands": [True, True, False, True, True], "fwhm": [3, 3, 3, 3, 3], "platform": None},
    {"fwhm": None, "scale": 0.5, "place": [11.0, 48.0, 11.5, 48.5], "properties": {"lab:n": 3}},
)


async def labelled_and_corrected(ingest: Ingest, item: str, value: float):
    """An item of which nothing is as its files say; the item, deleted."""
    token, catalog = ingest.admin_token, ingest.catalog
    said = {"platform": "tripod", "properties": {"lab:lamp": "on"}}
    sent = await ingest.send(COLLECTION, {"a.npy": npy(value)}, id=item, metadata=said)
    assert (await ingest.ended(sent)).error is None
    buffer = io.BytesIO()
    np.save(buffer, TRUTH)
    key = f"raw/{COLLECTION}/scratch/gt.npy"
    await ingest.storage.put(key, buffer.getvalue(), token=token)
    request = LabelRequest(name="truth", files=[key], class_names=["corn", "oats"])
    await ingest.client.add_labels(COLLECTION, item, request, token=token)
    for changes in CORRECTIONS:
        await ingest.client.correct(COLLECTION, item, changes, token=token)
    document = await catalog.item(COLLECTION, item, token=token)
    document["assets"]["notes"] = {"href": "https://data.example/notes.txt", "file:size": 10**15}
    document["properties"]["title"] = "The field"
    document["links"].append({"rel": "about", "href": "https://data.example/"})
    await catalog.replace_item(COLLECTION, document, token=token)
    before = await catalog.item(COLLECTION, item, token=token)
    await catalog.delete_item(COLLECTION, item, token=token)
    return before


def test_instruments_of_a_users_own_making_keep_no_item_from_coming_back():
    info = CubeInfo((2, 3, 4), np.dtype(np.uint8))
    for instruments, sensor in ((5, None), ("a", None), ([], None), (["a", 6], "a, 6")):
        item = {"properties": {"instruments": instruments}, "geometry": None}
        assert acquisition_of(item, info).sensor == sensor


def test_a_cube_that_is_converted_otherwise_today_is_told_as_it_is_now():
    """An earlier version made values physical where bands have scales of their own."""
    at = datetime(2024, 1, 1, tzinfo=UTC)

    def made_of(info: CubeInfo, upload: str):
        known = {"hsi:upload": upload, "hsi:source_format": "PRISMA"}
        return item_document(ItemParts("col", "scene", info, None, None, at, known))

    was = made_of(CubeInfo((2, 3, 4), np.dtype(np.float32), (400.0, 500.0), unit="1"), "first")
    was["properties"]["title"] = "The field"
    info = CubeInfo((2, 3, 4), np.dtype(np.uint16), (400.0, 510.0), unit="1", scale=(0.5, 0.25))
    now = Before(was, ()).restored(made_of(info, "second"))
    assert now["properties"]["title"] == "The field"
    assert now["properties"]["hsi:data_type"] == now["assets"]["cube"]["data_type"] == "uint16"
    assert now["properties"]["hsi:wavelength_max"] == 0.51
    assert "raster:scale" not in now["assets"]["cube"]
    assert [band["raster:scale"] for band in now["assets"]["cube"]["bands"]] == [0.5, 0.25]


async def is_as_it_was(ingest: Ingest, before, item: str):
    """The item of this id has everything that the deleted one had."""
    token = ingest.admin_token
    now = await ingest.catalog.item(COLLECTION, item, token=token)
    new = {"hsi:upload", "created", "updated"}
    assert {**now["properties"], **dict.fromkeys(new)} == {
        **before["properties"],
        **dict.fromkeys(new),
    }
    assert (now["bbox"], now["geometry"]) == (before["bbox"], before["geometry"])
    assert set(now["assets"]) == set(before["assets"])
    for name in ("labels-truth", "notes", "original-1"):
        assert now["assets"][name] == before["assets"][name]
    cube = {**now["assets"]["cube"], "href": None, "file:size": None}
    assert cube == {**before["assets"]["cube"], "href": None, "file:size": None}
    assert ("about", "https://data.example/") in [(x["rel"], x["href"]) for x in now["links"]]
    raster = now["assets"]["labels-truth"]["href"].partition("/blobs/")[2]
    content = await ingest.storage.get(raster, token=token)
    np.testing.assert_array_equal(tifffile.imread(io.BytesIO(content)), TRUTH)
    known = await ingest.client.metadata(COLLECTION, item, token=token)
    assert known.metadata["wavelengths"] == [400, 500, 600, 700, 801.3]
    told = [entry.after for entry in reversed(known.corrections)]
    assert [set(changes) for changes in told] == [set(changes) for changes in CORRECTIONS]
    assert [entry.by for entry in known.corrections] == ["admin"] * 3
    await cube_is_corrected(ingest, item)


async def cube_is_corrected(ingest: Ingest, item: str):
    """As zarr-python reads it; and its checksums are those of what is stored."""
    token, prefix = ingest.admin_token, f"cubes/{COLLECTION}/{item}/"
    store = zarr.storage.FsspecStore.from_url(
        f"{ingest.storage_url}/blobs/{prefix}cube.zarr",
        storage_options={"headers": {"Authorization": f"Bearer {token}"}},
        read_only=True,
    )
    root = await zarr.api.asynchronous.open_group(store, mode="r")
    wavelengths = await (await root.getitem("wavelength_nm")).getitem(...)
    assert np.asarray(wavelengths).tolist() == [400, 500, 600, 700, 801.3]
    good = await (await root.getitem("good_band")).getitem(...)
    assert np.asarray(good).tolist() == [True, True, False, True, True]
    attributes = (await root.getitem("cube")).attrs
    assert (attributes["units"], attributes["scale"]) == ("DN", 0.5)
    assert (root.attrs["instrument"], root.attrs["geospatial_lon_max"]) == ("Cubert", 11.5)
    assert root.attrs["properties"]["lab:n"] == 3
    assert "fwhm_nm" not in [name async for name, _ in root.members()]
    kept = json.loads(await ingest.storage.get(prefix + "checksums.json", token=token))["objects"]
    assert {prefix + key for key in kept} == {*await ingest.keys(prefix)} - {
        prefix + "checksums.json"
    }
    for key, each in kept.items():
        content = await ingest.storage.get(prefix + key, token=token)
        assert each["sha256"] == hashlib.sha256(content).hexdigest(), key


async def test_labels_and_corrections_come_back_whatever_happens_on_the_way(
    idle_ingest: Ingest, monkeypatch
):
    """Under another id and under its own; the template changed, the entry purged, and the worker
    killed in the middle."""
    ingest, token = idle_ingest, idle_ingest.admin_token
    async with ingest.replica():
        await converted(ingest, 10.0, "first")  # which makes the collection
        template = CubeMetadata(band_names=["a", "b", "c", "d", "e"])
        await ingest.catalog.set_template(COLLECTION, template, token=token)
        before = await labelled_and_corrected(ingest, "field", 11.0)
        template = CubeMetadata(band_names=["v", "w", "x", "y", "z"], license="CC0-1.0")
        await ingest.catalog.set_template(COLLECTION, template, token=token)
        await converted(ingest, 12.0, "field")  # its cube takes the place of the first one's
    entry = await entry_of(ingest, "field")
    assert not entry.cube_kept
    request = RestoreRequest(collection=COLLECTION, entry=entry.id, id="field-1")
    again = await ingest.client.restore(request, token=token)
    used = (await ingest.catalog.quota(COLLECTION, token=token)).used_bytes
    write, reached = Conversion._write_rest, asyncio.Event()

    async def killed(self, described, statistics):
        await write(self, described, statistics)
        reached.set()
        await asyncio.Event().wait()

    async def no_word(db, lease, delay_s=0.0):
        """As SIGKILL, a while later: the lease has run out."""
        sql = "UPDATE uploads SET lease_until = now() - interval '1 s' WHERE lease_token = $1"
        await db.execute(sql, lease)

    with monkeypatch.context() as patched:
        patched.setattr(Conversion, "_write_rest", killed)
        patched.setattr(queue, "give_back", no_word)
        async with ingest.replica():
            await reached.wait()
    await ingest.catalog.purge(COLLECTION, entry.id, token=token)
    async with ingest.replica():
        again = await ingest.ended(again)
        assert (again.error, again.attempts) == (None, 2)
        await is_as_it_was(ingest, before, "field-1")
        assert await value_of(ingest, "field-1") == 11.0
        quota = await ingest.catalog.quota(COLLECTION, token=token)
        assert 0 < quota.used_bytes - used < 100_000  # a cube, not what a user's document says
        # Once more, now under the id that it had at first, whose cube is another one's.
        await ingest.catalog.delete_item(COLLECTION, "field-1", token=token)
        await ingest.catalog.delete_item(COLLECTION, "field", token=token)
        entry = await entry_of(ingest, "field-1")
        request = RestoreRequest(collection=COLLECTION, entry=entry.id, id="field")
        assert (await ingest.ended(await ingest.client.restore(request, token=token))).error is None
        await is_as_it_was(ingest, before, "field")
        # The cube that the entry still kept goes with it.
        await ingest.emptied(f"cubes/{COLLECTION}/field-1/")
        await ingest.catalog.delete_item(COLLECTION, "field", token=token)
        await ingest.catalog.purge(COLLECTION, token=token)
        raster = before["assets"]["labels-truth"]["href"].partition("/blobs/")[2]
        await ingest.emptied(f"cubes/{COLLECTION}/field/", raster)
        await ingest.catalog.remove_template(COLLECTION, token=token)


async def test_what_a_restoration_that_is_given_up_kept_goes_with_it(
    idle_ingest: Ingest, make_token, monkeypatch
):
    """The entry was purged while the conversion ran."""
    ingest, token = idle_ingest, idle_ingest.admin_token
    service = make_token("service:inference", scopes=("service",))
    async with ingest.replica():
        before = await labelled_and_corrected(ingest, "unwanted", 21.0)
    entry = await entry_of(ingest, "unwanted")
    request = RestoreRequest(collection=COLLECTION, entry=entry.id, id="unwanted-1")
    upload = await ingest.client.restore(request, token=token)
    reached = asyncio.Event()

    async def held(self, described, statistics):
        reached.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(Conversion, "_write_rest", held)
    async with ingest.replica():
        await reached.wait()
        await ingest.catalog.purge(COLLECTION, entry.id, token=token)
        async with asyncio.timeout(60):
            while (
                await ingest.http.get(
                    f"{ingest.catalog_url}/stac/removed-items",
                    headers={"Authorization": f"Bearer {service}"},
                )
            ).json()["removed"]:
                await asyncio.sleep(0.05)
        stored = [
            before["assets"][name]["href"].partition("/blobs/")[2]
            for name in ("labels-truth", "original-1")
        ]
        assert [await ingest.keys(key) for key in stored] == [[key] for key in stored]
        await ingest.client.delete(upload.id, token=token)
        await ingest.end_lease(upload.id)
        await ingest.emptied(*stored, f"cubes/{COLLECTION}/unwanted/")

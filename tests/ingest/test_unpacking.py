"""Archives that are uploaded: their scenes become items."""

import asyncio
import hashlib
import io

import numpy as np
import pytest

from hsis.contracts.uploads import Upload, UploadRequest, UploadState
from hsis.errors import Conflict, NotFound
from hsis_ingest.convert import Conversion
from hsis_ingest.unpacking import Unpacking
from tests.ingest.conftest import Ingest
from tests.ingest.test_archives import tarred, zipped
from tests.support.servers import served

COLLECTION = "archives"
HEADER = b"ENVI\nsamples = 4\nlines = 3\nbands = 2\ndata type = 12\ninterleave = bsq\n"


def raw(value: int) -> bytes:
    return np.full(24, value, "<u2").tobytes()


def npy(value: int) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.full((3, 4, 2), value, "<u2"))
    return buffer.getvalue()


def scenes(seed: int) -> dict[str, bytes]:
    return {
        "set/monday/scan.raw": raw(seed),
        "set/monday/scan.hdr": HEADER,
        "set/monday/scan.png": b"a picture",
        "set/tuesday/scan.raw": raw(seed + 1),
        "set/tuesday/scan.hdr": HEADER,
        "set/plain.npy": npy(seed),
        "set/README": b"notes",
        "__MACOSX/set/._plain.npy": b"junk",
    }


async def sent(ingest: Ingest, name: str, content: bytes, **more):
    return await ingest.ended(await ingest.send(COLLECTION, {name: content}, **more))


@pytest.mark.parametrize("name", ["many.zip", "many.tar", "many.tar.gz"])
async def test_every_scene_becomes_an_item(ingest: Ingest, name: str):
    make = {"zip": zipped, "tar": tarred, "gz": lambda files: tarred(files, "w:gz")}
    kind = name.rpartition(".")[2]
    seed = {"zip": 10, "tar": 20, "gz": 30}[kind]
    upload = await sent(ingest, name, make[kind](scenes(seed)), id=f"set-{kind}")
    assert (upload.state, upload.error, upload.progress) == (UploadState.SUCCEEDED, None, 1.0)
    items = {scene.item: scene.id for scene in upload.scenes}
    monday, plain = f"set-{kind}-set-monday-scan", f"set-{kind}-plain"
    assert set(items) == {monday, f"set-{kind}-set-tuesday-scan", plain}
    item = await ingest.catalog.item(COLLECTION, monday, token=ingest.admin_token)
    checksums = {
        asset["title"]: asset["file:checksum"]
        for key, asset in item["assets"].items()
        if key.startswith("original-")
    }
    assert checksums == {
        "scan.raw": "1220" + hashlib.sha256(raw(seed)).hexdigest(),
        "scan.hdr": "1220" + hashlib.sha256(HEADER).hexdigest(),
    }
    child = await ingest.client.upload(items[plain], token=ingest.admin_token)
    assert child.parent == upload.id
    # What was in it is kept, not the archive too.
    await ingest.emptied(f"raw/{COLLECTION}/{upload.id}/")
    assert len(await ingest.keys(f"raw/{COLLECTION}/{items[monday]}/")) == 2
    assert (await ingest.client.upload(upload.id, token=ingest.admin_token)).state.final
    with pytest.raises(Conflict, match="unpacked"):
        await ingest.client.delete(upload.id, token=ingest.admin_token)


async def test_an_archive_of_one_scene_makes_the_item_that_was_named(ingest: Ingest):
    content = zipped({"deep/inside/a.npy": npy(900)})
    upload = await sent(ingest, "one.zip", content, id="named", axes="yxb")
    assert [scene.item for scene in upload.scenes] == ["named"]
    item = await ingest.catalog.item(COLLECTION, "named", token=ingest.admin_token)
    assert item["properties"]["hsi:upload"] == upload.scenes[0].id


async def test_a_scene_that_fails_is_told_and_the_others_stay(ingest: Ingest):
    content = zipped({"good.npy": npy(901), "bad.npy": b"no array", "lonely.raw": raw(1)})
    upload = await sent(ingest, "mixed.zip", content)
    assert (upload.state, upload.error.slug) == (UploadState.FAILED, "scenes-failed")
    assert upload.error.detail.startswith("2 of 3 scenes failed")
    states = {scene.item: scene.state for scene in upload.scenes}
    assert states == {"good": "succeeded", "bad": "failed", "lonely": "failed"}
    assert {scene.error.slug for scene in upload.scenes if scene.error} == {
        "unknown-format",
        "missing-header",
    }


@pytest.mark.parametrize(
    ("content", "slug"),
    [
        (zipped({"a.npy": npy(902), "../b.npy": b"x"}), "unsafe-archive"),
        (zipped({"a.npy": npy(902), "b.npy": zipped({"c": b""})}), "nested-archive"),
        (zipped({"a.npy": npy(902), "b.npy": npy(903)})[:-30], "truncated-file"),
        (tarred({"a.npy": npy(902), "b.npy": npy(903)})[:1900], "truncated-file"),
        (zipped({"notes.txt": b"x"}), "unknown-format"),
    ],
)
async def test_what_may_not_be_unpacked_leaves_nothing(ingest: Ingest, content: bytes, slug: str):
    before = set(await ingest.keys(f"raw/{COLLECTION}/"))
    upload = await sent(ingest, "bad.zip", content)
    assert (upload.state, upload.error.slug) == (UploadState.FAILED, slug)
    async with asyncio.timeout(60):
        while set(await ingest.keys(f"raw/{COLLECTION}/")) - before:
            await asyncio.sleep(0.05)
    listed = await ingest.client.uploads(COLLECTION, token=ingest.admin_token)
    assert not [one for one in listed if one.parent == upload.id]


async def test_what_is_no_item_is_listed_behind_many_that_are(ingest: Ingest):
    token = ingest.admin_token
    files = {"a.npy": npy(911), "b.npy": npy(912)[:-9]}
    partly = await ingest.ended(await ingest.send("partly", {"partly.zip": zipped(files)}))
    assert partly.state is UploadState.FAILED
    files["b.npy"] = npy(912)
    await ingest.ended(await ingest.send("partly", {"whole.zip": zipped(files)}, id="whole"))
    waiting = await ingest.client.create(
        UploadRequest(collection="partly", files=[{"name": "c.npy"}]), token=token
    )
    await ingest.ended(await ingest.send("partly", {"d.npy": npy(913)}))
    listed = await ingest.http.get(
        f"{ingest.url}/uploads?collection=partly&without_item=true&limit=2",
        headers={"Authorization": f"Bearer {token}"},
    )
    told = [(each["id"], each["state"]) for each in listed.json()["uploads"]]
    assert told == [(waiting.id, "receiving"), (partly.id, "failed")]
    assert len(await ingest.client.uploads("partly", token=token)) == 8
    [bad] = [scene for scene in partly.scenes if scene.state is UploadState.FAILED]
    assert bad.expires_at is None  # nothing is kept of what no other try mends
    await ingest.client.delete(bad.id, token=token)
    assert (await ingest.client.upload(partly.id, token=token)).state is UploadState.SUCCEEDED


async def test_the_kept_files_of_scenes_are_told(ingest: Ingest):
    content = zipped({"g.npy": npy(921), "h.npy": npy(922)})
    unfit = await sent(ingest, "unfit.zip", content, metadata={"wavelengths": [1, 2, 3]})
    assert {scene.error.slug for scene in unfit.scenes} == {"metadata-mismatch"}
    assert all(scene.expires_at > unfit.created_at for scene in unfit.scenes)


async def test_a_list_tells_those_scenes_first_that_can_be_converted_again(ingest: Ingest):
    buffer = io.BytesIO()
    np.save(buffer, np.full((3, 4, 3), 931, "<u2"))
    files = {"a.npy": npy(931), "b.npy": b"no array", "c.npy": buffer.getvalue(), "d.npy": npy(932)}
    said = {"metadata": {"wavelengths": [400, 500]}}  # c has three bands
    partly = await ingest.ended(await ingest.send("told", {"told.zip": zipped(files)}, **said))
    assert [(scene.item, scene.state) for scene in partly.scenes] == [
        ("a", "succeeded"), ("b", "failed"), ("c", "failed"), ("d", "succeeded"),
    ]  # fmt: skip
    a, b, c, d = partly.scenes
    async with served(ingest.app(list_max_entries=2, worker_enabled=False)) as url:
        answer = await ingest.http.get(
            f"{url}/uploads?collection=told&without_item=true",
            headers={"Authorization": f"Bearer {ingest.admin_token}"},
        )
    [listed] = [Upload.model_validate(one) for one in answer.json()["uploads"]]
    assert (listed.scene_count, listed.scenes) == (4, [c, b])
    assert (listed.state, listed.progress, listed.file_count) == (UploadState.FAILED, 1, 1)
    assert listed.error == partly.error
    assert listed.error.detail.startswith("2 of 4 scenes failed. c: ")
    assert f"; b: {b.error.detail}" in listed.error.detail
    whole = await ingest.client.uploads("told", token=ingest.admin_token)
    [listed] = [one for one in whole if one.id == partly.id]
    assert (listed.scene_count, listed.scenes) == (4, [c, b, a, d])
    assert partly.scene_count == 4


async def test_an_archive_needs_room_for_what_is_in_it(ingest: Ingest):
    content = zipped({"a.npy": bytes(100_000)})
    catalog, token = ingest.catalog, ingest.admin_token
    first = await ingest.ended(await ingest.send("narrow", {"room.npy": npy(1)}))
    used = (await catalog.quota("narrow", token=token)).used_bytes
    await catalog.set_quota("narrow", used + 50_000, token=token)
    upload = await ingest.ended(await ingest.send("narrow", {"a.zip": content}))
    assert upload.error.slug == "quota-exceeded"
    await ingest.emptied(f"raw/narrow/{upload.id}/")
    assert len(await ingest.keys("raw/narrow/")) == len(first.files)


async def test_an_archive_that_is_given_up_keeps_the_scenes_that_are_items(
    idle_ingest: Ingest, monkeypatch
):
    ingest, token = idle_ingest, idle_ingest.admin_token
    held, write = asyncio.Event(), Conversion._write_rest

    async def hold_the_second(self, *arguments):
        if self._upload.item == "second":
            held.set()
            await asyncio.Event().wait()
        await write(self, *arguments)

    monkeypatch.setattr(Conversion, "_write_rest", hold_the_second)
    broken = await ingest.send(COLLECTION, {"broken.zip": zipped({"c.npy": b"no array"})})
    files = {"first.npy": npy(931), "second.npy": npy(932), "third.npy": npy(933)}
    upload = await ingest.send(COLLECTION, {"given-up.zip": zipped(files)})
    async with ingest.replica():
        await ingest.ended(broken)
        await ingest.client.delete(broken.id, token=token)
        await held.wait()
        states = {
            scene.item: scene
            for scene in (await ingest.client.upload(upload.id, token=token)).scenes
        }
        assert [scene.state for scene in states.values()] == ["succeeded", "converting", "queued"]
        await ingest.client.delete(upload.id, token=token)
        await ingest.end_lease(states["second"].id)
        await ingest.emptied(
            *(f"raw/{COLLECTION}/{states[item].id}/" for item in ("second", "third")),
            f"cubes/{COLLECTION}/second/",
        )
    with pytest.raises(NotFound):
        await ingest.client.upload(broken.id, token=token)
    after = await ingest.client.upload(upload.id, token=token)
    assert (after.state, [scene.item for scene in after.scenes]) == ("succeeded", ["first"])
    await ingest.catalog.item(COLLECTION, "first", token=token)
    for item in ("second", "third"):
        with pytest.raises(NotFound):
            await ingest.catalog.item(COLLECTION, item, token=token)
    with pytest.raises(Conflict, match="its scenes are items"):
        await ingest.client.delete(upload.id, token=token)


async def test_an_unpacking_that_was_cut_off_begins_anew(idle_ingest: Ingest, monkeypatch):
    held, store = asyncio.Event(), Unpacking._store

    async def hold_the_second(self, upload, scene, member, content):
        if member.path.name == "b.npy" and not held.is_set():
            held.set()
            await asyncio.Event().wait()
        await store(self, upload, scene, member, content)

    monkeypatch.setattr(Unpacking, "_store", hold_the_second)
    content = zipped({"a.npy": npy(904), "b.npy": npy(905)})
    upload = await idle_ingest.send(COLLECTION, {"cut.zip": content})
    async with served(idle_ingest.app(worker_enabled=True)):
        await held.wait()
        listed = await idle_ingest.client.uploads(COLLECTION, token=idle_ingest.admin_token)
        [child] = [one for one in listed if one.item == "a"]
        with pytest.raises(Conflict, match="archive"):
            await idle_ingest.client.put_file(
                child.id, "a.npy", b"x", token=idle_ingest.admin_token
            )
    async with served(idle_ingest.app(worker_enabled=True)):
        ended = await idle_ingest.ended(upload)
        assert ended.state is UploadState.SUCCEEDED
        assert [scene.item for scene in ended.scenes] == ["a", "b"]
        assert child.id not in {scene.id for scene in ended.scenes}
        await idle_ingest.emptied(f"raw/{COLLECTION}/{child.id}/")

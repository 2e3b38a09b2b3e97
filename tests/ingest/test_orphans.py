"""What is stored for nothing is reported, and removed only then; what is needed never is."""

import io
from uuid import uuid4

import numpy as np
import pytest

from hsis.contracts.sweep import IncompleteItem, Orphan, SweepSummary
from hsis.errors import Forbidden
from tests.ingest.conftest import Ingest

COLLECTION = "swept"


def npy(value: float = 1) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.full((3, 4, 5), value, np.float32))
    return buffer.getvalue()


async def report(ingest: Ingest, client=None):
    lines = [line async for line in (client or ingest.client).sweep(token=ingest.admin_token)]
    summary = lines.pop()
    assert isinstance(summary, SweepSummary)
    orphans = {line.prefix: line for line in lines if isinstance(line, Orphan)}
    incomplete = {line.item: line.missing for line in lines if isinstance(line, IncompleteItem)}
    return orphans, incomplete, summary


async def test_orphans_are_reported_and_only_they_are_removed(idle_ingest: Ingest, make_token):
    """Two uploads become items, one of which is in the trash; one waits; a job makes an item."""
    ingest, token = idle_ingest, idle_ingest.admin_token
    sent = [
        await ingest.send(COLLECTION, {"a.npy": npy()}, id=name) for name in ("stays", "thrown")
    ]
    async with ingest.replica():
        for upload in sent:
            assert (await ingest.ended(upload)).error is None
    await ingest.catalog.delete_item(COLLECTION, "thrown", token=token)
    waiting = await ingest.send(COLLECTION, {"a.npy": npy()}, id="waits")
    service = make_token("service:inference", scopes=("service",))
    reservation = {"collection": COLLECTION, "item": "computed", "holder": "job:1"}
    answer = await ingest.http.post(
        f"{ingest.catalog_url}/stac/reservations",
        json=reservation,
        headers={"Authorization": f"Bearer {service}"},
    )
    assert answer.status_code == 200
    strays = {
        f"raw/{COLLECTION}/{uuid4()}/": 2,
        f"cubes/{COLLECTION}/nobody/": 1,
        f"cubes/no-collection-{uuid4().hex[:6]}/item/": 1,
        f"staging/transfers/{uuid4()}/": 1,
    }
    needed = [
        f"cubes/{COLLECTION}/computed/cube.zarr/cube/c/0/0/0",
        f"raw/{COLLECTION}/a-users-own/file",
    ]
    for prefix, count in strays.items():
        for number in range(count):
            await ingest.storage.put(f"{prefix}deep/{number}", b"stray", token=service)
    for key in needed:
        await ingest.storage.put(key, b"needed", token=token)
    before = set(await ingest.keys("")) - {
        f"{p}deep/{n}" for p, c in strays.items() for n in range(c)
    }
    orphans, incomplete, _ = await report(ingest)
    assert not orphans.keys() & strays.keys()  # too new
    assert "stays" not in incomplete
    async with ingest.eager_replica() as client:
        orphans, incomplete, summary = await report(ingest, client)
        assert {p: orphans[p].objects for p in strays} == strays
        assert {p: orphans[p].bytes for p in strays} == {p: 5 * c for p, c in strays.items()}
        assert orphans.keys() == strays.keys()
        assert summary.orphaned_bytes == 5 * sum(strays.values())
        stays = f"raw/{COLLECTION}/{sent[0].id}/"
        others = [stays, f"raw/{COLLECTION}/a-users-own/", f"raw/{COLLECTION}/"]
        others += [f"raw/{COLLECTION}/{waiting.id}/", f"cubes/{COLLECTION}/computed/"]
        answer = await client.remove_orphans([*strays, *others], token=token)
        assert (set(answer.removed), answer.objects) == (set(strays), sum(strays.values()))
        assert [kept.prefix for kept in answer.kept] == others
        assert set(await ingest.keys("")) == before
        assert (await report(ingest, client))[0] == {}


async def test_what_is_removed_counts_to_the_quota_no_more(ingest: Ingest, make_token):
    """A user took a label map out of an item's document, so nothing knows of it."""
    token, service = ingest.admin_token, make_token("service:ingest", scopes=("service",))
    await ingest.ended(await ingest.send(COLLECTION, {"a.npy": npy(2)}, id="labelled"))
    prefix = f"raw/{COLLECTION}/{uuid4()}/"
    await ingest.storage.put(prefix + "gt.tif", b"12345", token=service)
    before = (await ingest.catalog.quota(COLLECTION, token=token)).used_bytes
    document = await ingest.catalog.item(COLLECTION, "labelled", token=token)
    labels = {"labels-gt": {"href": f"/blobs/{prefix}gt.tif", "file:size": 5}}
    answer = await ingest.http.put(
        f"{ingest.catalog_url}/stac/collections/{COLLECTION}/items/labelled?counted=labels-gt",
        json=document | {"assets": document["assets"] | labels},
        headers={"Authorization": f"Bearer {service}"},
    )
    assert answer.status_code == 200
    await ingest.catalog.replace_item(COLLECTION, document, token=token)
    assert (await ingest.catalog.quota(COLLECTION, token=token)).used_bytes == before + 5
    async with ingest.eager_replica() as client:
        assert (await client.remove_orphans([prefix], token=token)).removed == [prefix]
    assert (await ingest.catalog.quota(COLLECTION, token=token)).used_bytes == before


async def test_items_whose_objects_are_missing_are_named(ingest: Ingest):
    token = ingest.admin_token
    upload = await ingest.ended(await ingest.send(COLLECTION, {"a.npy": npy()}, id="broken"))
    raw = f"raw/{COLLECTION}/{upload.id}/a.npy"
    root = f"cubes/{COLLECTION}/broken/cube.zarr/zarr.json"
    for key in (raw, root):
        await ingest.storage.delete(key, token=token)
    _, incomplete, summary = await report(ingest)
    assert incomplete["broken"] == [raw, root]
    assert summary.incomplete_items >= 1


async def test_only_administrators_sweep(ingest: Ingest):
    token = ingest.make_token(str(uuid4()), "somebody")
    with pytest.raises(Forbidden):
        await ingest.client.remove_orphans(["raw/a/b/"], token=token)
    answer = await ingest.http.post(
        f"{ingest.url}/ingest/sweep", headers={"Authorization": f"Bearer {token}"}
    )
    assert answer.status_code == 403

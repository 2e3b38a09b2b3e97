"""What is stored is compared with its checksums; objects are really damaged for that."""

import hashlib
import io
import json
from collections.abc import AsyncIterator

import numpy as np
import pytest

from hsis.contracts.scrub import ScrubbedItem, ScrubRequest, ScrubSummary
from hsis.cube.checksums import ObjectChecksum
from hsis_ingest.scrubbing import has_own_cube, originals_of
from tests.ingest.conftest import Ingest

COLLECTION = "scrubbed"
CUBE = np.random.default_rng(3).integers(0, 4000, (20, 300, 700), dtype=np.uint16)


def npy() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, CUBE)
    return buffer.getvalue()


@pytest.fixture
async def item(ingest: Ingest) -> AsyncIterator[str]:
    """An item of its own for every test; removed at its end."""
    token = ingest.admin_token
    upload = await ingest.ended(
        await ingest.send(COLLECTION, {"a.npy": npy()}, id="scanned", axes="byx")
    )
    assert upload.error is None
    yield "scanned"
    await ingest.catalog.delete_item(COLLECTION, "scanned", token=token)
    await ingest.catalog.purge(COLLECTION, token=token)
    await ingest.emptied(f"cubes/{COLLECTION}/scanned/")


async def scrub(ingest: Ingest, **wanted: str) -> tuple[list[ScrubbedItem], ScrubSummary]:
    request = ScrubRequest(**wanted)
    lines = [line async for line in ingest.client.scrub(request, token=ingest.admin_token)]
    summary = lines.pop()
    assert isinstance(summary, ScrubSummary)
    return [line for line in lines if isinstance(line, ScrubbedItem)], summary


async def test_every_stored_object_has_its_checksum(ingest: Ingest, item: str) -> None:
    prefix = f"cubes/{COLLECTION}/{item}/"
    stored = await ingest.keys(prefix)
    # 1 x 2 x 2 shards and those of the overview of 150 x 350, beside the documents.
    assert sum("/c/0/" in key for key in stored) >= 4 + 1
    folder = ingest.folder / prefix
    told = json.loads((folder / "checksums.json").read_bytes())
    assert told["algorithm"] == "sha256"
    assert {prefix + key for key in told["objects"]} == {*stored} - {prefix + "checksums.json"}
    for key, each in told["objects"].items():
        content = (folder / key).read_bytes()
        assert each == {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}, key
    [line], summary = await scrub(ingest, collection=COLLECTION, item=item)
    sizes = [each["size"] for each in told["objects"].values()]
    assert (line.verified, line.faults) == (True, [])
    assert (line.objects, line.bytes) == (len(sizes) + 1, sum(sizes) + len(npy()))
    assert (summary.items, summary.faults, summary.bytes) == (1, 0, line.bytes)


async def test_what_is_damaged_missing_or_unexpected_is_named(ingest: Ingest, item: str) -> None:
    prefix = f"cubes/{COLLECTION}/{item}/"
    folder = ingest.folder / prefix
    found = await ingest.catalog.item(COLLECTION, item, token=ingest.admin_token)
    raw = found["assets"]["original-1"]["href"].partition("/blobs/")[2]
    original = ingest.folder / raw
    flipped = bytearray(original.read_bytes())
    flipped[len(flipped) // 2] ^= 1
    original.write_bytes(flipped)
    shard = folder / "cube.zarr/cube/c/0/0/0"
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-7])
    thumbnail = (folder / "thumbnail.webp").read_bytes()
    (folder / "thumbnail.webp").unlink()
    await ingest.storage.delete(prefix + "statistics.json", token=ingest.admin_token)
    stray = prefix + "cube.zarr/cube/c/9/9/9"
    await ingest.storage.put(stray, b"stray", token=ingest.admin_token)
    [line], summary = await scrub(ingest, collection=COLLECTION)
    kinds = {fault.key: str(fault.kind) for fault in line.faults}
    # rclone still tells of them what it remembers, and then sends fewer bytes or none.
    assert kinds.pop(prefix + "cube.zarr/cube/c/0/0/0") in {"damaged", "unreadable"}
    assert kinds.pop(prefix + "thumbnail.webp") in {"missing", "unreadable"}
    assert kinds == {
        raw: "damaged",
        prefix + "statistics.json": "missing",
        stray: "unexpected",
    }
    assert summary.faults == 5
    [detail] = [fault.detail for fault in line.faults if fault.key == raw]
    assert hashlib.sha256(npy()).hexdigest() in detail
    # The store remembers them, and could not remove what is not there.
    shard.write_bytes(whole)
    (folder / "thumbnail.webp").write_bytes(thumbnail)
    await ingest.storage.delete(stray, token=ingest.admin_token)


async def test_an_item_without_checksums_is_told_as_such(ingest: Ingest, item: str) -> None:
    await ingest.storage.delete(
        f"cubes/{COLLECTION}/{item}/checksums.json", token=ingest.admin_token
    )
    [line], summary = await scrub(ingest, collection=COLLECTION)
    assert (line.verified, line.faults, line.objects) == (False, [], 1)
    assert (summary.unverified_items, summary.faults) == (1, 0)


async def test_what_is_in_the_trash_is_read_too(ingest: Ingest, item: str) -> None:
    token = ingest.admin_token
    found = await ingest.catalog.item(COLLECTION, item, token=token)
    raw = found["assets"]["original-1"]["href"].partition("/blobs/")[2]
    shard = f"cubes/{COLLECTION}/{item}/cube.zarr/cube/c/0/0/0"
    await ingest.catalog.delete_item(COLLECTION, item, token=token)
    [entry] = (await ingest.catalog.trash(COLLECTION, item=item, token=token)).entries
    [line], summary = await scrub(ingest, collection=COLLECTION, item=item)
    assert (line.trash_entry, line.verified, line.faults) == (entry.id, True, [])
    assert (summary.items, summary.trash_entries) == (1, 1)
    for key in (raw, shard):
        stored = ingest.folder / key
        content = bytearray(stored.read_bytes())
        content[len(content) // 2] ^= 1
        stored.write_bytes(content)
    for wanted in ({"collection": COLLECTION}, {}):
        lines, _ = await scrub(ingest, **wanted)
        [line] = [line for line in lines if line.trash_entry == entry.id]
        assert {fault.key: str(fault.kind) for fault in line.faults} == {
            raw: "damaged",
            shard: "damaged",
        }
    # Another cube in its place is no fault of the entry's; its original still is.
    again = await ingest.ended(await ingest.send(COLLECTION, {"a.npy": npy()}, id=item, axes="ybx"))
    assert again.error is None
    lines, summary = await scrub(ingest, collection=COLLECTION)
    assert (summary.items, summary.trash_entries) == (2, 1)
    assert [[fault.key for fault in line.faults] for line in lines] == [[], [raw]]


async def refusal(ingest: Ingest, **wanted: str) -> int:
    token = ingest.make_token("00000000-0000-4000-8000-000000000001", "nobody")
    answer = await ingest.http.post(
        f"{ingest.url}/ingest/scrub", json=wanted, headers={"Authorization": f"Bearer {token}"}
    )
    return answer.status_code


async def test_only_owners_check_and_only_administrators_everything(
    ingest: Ingest, item: str
) -> None:
    assert await refusal(ingest) == 403
    assert await refusal(ingest, collection=COLLECTION) in {401, 404}
    assert await refusal(ingest, item=item) == 400
    _, summary = await scrub(ingest)
    assert summary.items >= 1


def test_what_editors_write_into_items_stops_no_report():
    told = {"href": "/blobs/raw/c/u/%C3%A4.npy", "file:checksum": "1220" + "ab" * 32}
    odd = [
        told | {"href": "http://["},
        told | {"href": "http://[", "file:size": 3},
        told,
        told | {"file:size": "much"},
        told | {"file:size": 3, "file:checksum": 12},
    ]
    assets = {f"odd-{number}": asset for number, asset in enumerate(odd)}
    item = {"collection": "c", "id": "i", "assets": assets}
    assert originals_of(item) == {}
    assert not has_own_cube(item | {"assets": {"cube": {"href": "http://["}}})
    item["assets"]["right"] = told | {"file:size": 3}
    assert originals_of(item) == {"raw/c/u/ä.npy": ObjectChecksum(size=3, sha256="ab" * 32)}

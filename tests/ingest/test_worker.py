"""Leases: a job is done once, whichever workers lose it on the way."""

import asyncio
import io
import itertools
from contextlib import asynccontextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from uuid import UUID

import numpy as np
import pytest

from hsis.contracts.uploads import UploadState
from hsis.errors import Conflict, NotFound, Unavailable
from hsis_ingest.convert import Conversion
from hsis_ingest.duplicates import Duplicates
from hsis_ingest.errors import LeaseLost
from hsis_ingest.leases import while_leased
from hsis_ingest.worker import Worker
from tests.ingest.conftest import Ingest
from tests.support.clocks import run_skipping_waits
from tests.support.servers import served

COLLECTION = "workers"
NUMBERS = itertools.count(1.0)


def content_of(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


@pytest.fixture
def held(monkeypatch):
    """Set once the first conversion has written its shards; that one then waits for ever."""
    reached = asyncio.Event()
    write = Conversion._write_rest

    async def hold_the_first(self, info, statistics):
        if not reached.is_set():
            reached.set()
            await asyncio.Event().wait()
        await write(self, info, statistics)

    monkeypatch.setattr(Conversion, "_write_rest", hold_the_first)
    return reached


@asynccontextmanager
async def replica(ingest: Ingest, **settings):
    async with served(ingest.app(worker_enabled=True, **settings)):
        yield


async def send(ingest: Ingest, item: str):
    """An upload like no other: the same originals would be stored only once."""
    cube = np.full((3, 3, 3), next(NUMBERS))
    return await ingest.send(COLLECTION, {"a.npy": content_of(cube)}, id=item)


async def test_a_worker_that_shuts_down_gives_its_job_back(idle_ingest: Ingest, held):
    upload = await send(idle_ingest, "handed")
    async with replica(idle_ingest):
        await held.wait()
        current = await idle_ingest.client.upload(upload.id, token=idle_ingest.admin_token)
        assert (current.state, current.attempts) == (UploadState.CONVERTING, 1)
    current = await idle_ingest.client.upload(upload.id, token=idle_ingest.admin_token)
    assert (current.state, current.attempts) == (UploadState.QUEUED, 0)
    async with replica(idle_ingest):
        current = await idle_ingest.ended(upload)
    assert (current.state, current.attempts) == (UploadState.SUCCEEDED, 1)


async def test_a_conversion_is_given_up(idle_ingest: Ingest, held):
    upload = await send(idle_ingest, "unwanted")
    prefixes = (f"raw/{COLLECTION}/{upload.id}/", f"cubes/{COLLECTION}/unwanted/")
    async with replica(idle_ingest):
        await held.wait()
        assert all([await idle_ingest.keys(prefix) for prefix in prefixes])
        await idle_ingest.client.delete(upload.id, token=idle_ingest.admin_token)
        await idle_ingest.end_lease(upload.id)
        await idle_ingest.emptied(*prefixes)
        with pytest.raises(NotFound):
            await idle_ingest.client.upload(upload.id, token=idle_ingest.admin_token)
        again = await idle_ingest.ended(await send(idle_ingest, "unwanted"))
        assert again.state is UploadState.SUCCEEDED


async def test_a_job_whose_worker_is_silent_is_taken_over(idle_ingest: Ingest, monkeypatch):
    """By one whose lease is long; the silent one takes no other job."""
    write, renew, convert = Conversion._write_rest, Worker._renew, Worker.convert_next
    silenced, brief_s = asyncio.Event(), 1.0

    async def held(self, *arguments):
        if self._settings.lease_s == brief_s:
            await asyncio.Event().wait()
        await write(self, *arguments)

    async def silent(self, token):
        if self._settings.lease_s == brief_s:
            silenced.set()
            await asyncio.Event().wait()
        return await renew(self, token)

    async def once(self):
        if self._settings.lease_s == brief_s and silenced.is_set():
            await asyncio.Event().wait()
        return await convert(self)

    upload = await send(idle_ingest, "silent")
    monkeypatch.setattr(Conversion, "_write_rest", held)
    monkeypatch.setattr(Worker, "_renew", silent)
    monkeypatch.setattr(Worker, "convert_next", once)
    async with replica(idle_ingest, lease_s=brief_s):
        await silenced.wait()
        async with replica(idle_ingest):
            current = await idle_ingest.ended(upload)
    assert (current.state, current.attempts) == (UploadState.SUCCEEDED, 2)
    item = await idle_ingest.catalog.item(COLLECTION, "silent", token=idle_ingest.admin_token)
    assert item["properties"]["hsi:upload"] == upload.id


async def test_a_job_that_kills_every_worker_fails_in_the_end(idle_ingest: Ingest, monkeypatch):
    async def dies(self, upload, token):
        """As SIGKILL: no word to the database."""

    monkeypatch.setattr(Worker, "_attempt", dies)
    upload = await send(idle_ingest, "deadly")
    async with replica(idle_ingest, lease_s=0.1):
        current = await idle_ingest.ended(upload)
    assert (current.state, current.attempts) == (UploadState.FAILED, 3)
    assert current.error.slug == "conversion-interrupted"
    assert current.expires_at is not None  # its files are kept: it may not be their fault
    monkeypatch.undo()
    await idle_ingest.client.retry(upload.id, token=idle_ingest.admin_token)
    async with replica(idle_ingest):
        current = await idle_ingest.ended(upload)
    assert (current.state, current.attempts) == (UploadState.SUCCEEDED, 1)
    with pytest.raises(Conflict, match="not failed"):
        await idle_ingest.client.retry(upload.id, token=idle_ingest.admin_token)


async def test_an_outage_is_no_attempt(idle_ingest: Ingest, monkeypatch):
    run, calls = Conversion.run, 0

    async def away_at_first(self):
        nonlocal calls
        calls += 1
        if calls < 6:
            raise Unavailable("storage-proxy does not answer.")
        return await run(self)

    monkeypatch.setattr(Conversion, "run", away_at_first)
    upload = await send(idle_ingest, "patient")
    async with replica(idle_ingest, outage_delay_s=0.05):
        current = await idle_ingest.ended(upload)
    assert calls == 6
    assert (current.state, current.attempts) == (UploadState.SUCCEEDED, 1)


async def test_files_outlive_our_own_fault_for_a_while(idle_ingest: Ingest, monkeypatch):
    async def broken(self):
        raise ZeroDivisionError

    monkeypatch.setattr(Conversion, "run", broken)
    upload = await send(idle_ingest, "kept")
    prefix = f"raw/{COLLECTION}/{upload.id}/"
    async with replica(idle_ingest, retry_delay_s=0):
        current = await idle_ingest.ended(upload)
        assert (current.state, current.attempts) == (UploadState.FAILED, 3)
        assert current.error.slug == "internal"
        assert await idle_ingest.keys(prefix) == [prefix + "a.npy"]
        assert current.expires_at > datetime.now(UTC) + timedelta(hours=23)  # upload_ttl_s
        await idle_ingest.sql(
            "UPDATE uploads SET expires_at = expires_at - interval '1 day' WHERE id = $1",
            UUID(upload.id),
        )
        await idle_ingest.emptied(prefix)
    with pytest.raises(Conflict, match="not kept"):
        await idle_ingest.client.retry(upload.id, token=idle_ingest.admin_token)


async def test_an_item_made_in_the_meantime_is_left_alone(idle_ingest: Ingest):
    upload = await send(idle_ingest, "taken")
    other = {
        "type": "Feature", "stac_version": "1.1.0", "id": "taken", "collection": COLLECTION,
        "geometry": None, "properties": {"datetime": "2024-01-01T00:00:00Z"}, "assets": {},
        "links": [],
    }  # fmt: skip
    await idle_ingest.catalog.create_item(COLLECTION, other, token=idle_ingest.admin_token)
    async with replica(idle_ingest):
        current = await idle_ingest.ended(upload)
        assert current.error.slug == "conflict"
        assert current.attempts == 1
        await idle_ingest.emptied(f"raw/{COLLECTION}/{upload.id}/")
    item = await idle_ingest.catalog.item(COLLECTION, "taken", token=idle_ingest.admin_token)
    assert item["properties"]["datetime"] == "2024-01-01T00:00:00Z"


async def test_what_an_item_under_another_id_uses_is_not_removed(idle_ingest: Ingest):
    catalog, token = idle_ingest.catalog, idle_ingest.admin_token
    upload, after = [await send(idle_ingest, item) for item in ("first-name", "after")]
    async with replica(idle_ingest):
        await idle_ingest.ended(upload)
        await idle_ingest.ended(after)
        item = await catalog.item(COLLECTION, "first-name", token=token)
        prefixes = (f"raw/{COLLECTION}/{upload.id}/", f"cubes/{COLLECTION}/first-name/")
        before = [await idle_ingest.keys(prefix) for prefix in prefixes]
        assert all(before)
        await catalog.create_item(COLLECTION, item | {"id": "second-name"}, token=token)
        await catalog.delete_item(COLLECTION, "first-name", token=token)
        await catalog.delete_item(COLLECTION, "after", token=token)
        await catalog.purge(COLLECTION, token=token)
        await idle_ingest.emptied(f"raw/{COLLECTION}/{after.id}/")  # they are removed in order
        assert [await idle_ingest.keys(prefix) for prefix in prefixes] == before
        again = await idle_ingest.ended(await send(idle_ingest, "first-name"))
        assert again.error.slug == "conflict"
        await catalog.delete_item(COLLECTION, "second-name", token=token)
        await catalog.purge(COLLECTION, token=token)
        await idle_ingest.emptied(*prefixes)


async def test_a_conversion_waits_for_the_job_that_makes_its_item(idle_ingest: Ingest, make_token):
    service = make_token("service:inference", scopes=("service",))
    reservation = {"collection": COLLECTION, "item": "contested", "holder": "job:1"}
    address = f"{idle_ingest.catalog_url}/stac/reservations"
    headers = {"Authorization": f"Bearer {service}"}
    upload = await send(idle_ingest, "contested")
    answer = await idle_ingest.http.post(address, json=reservation, headers=headers)
    assert answer.status_code == 200, answer.text
    async with replica(idle_ingest, outage_delay_s=0.05):
        await asyncio.sleep(0.5)
        current = await idle_ingest.client.upload(upload.id, token=idle_ingest.admin_token)
        assert not current.state.final
        await idle_ingest.http.delete(address, params=reservation, headers=headers)
        assert (await idle_ingest.ended(upload)).state is UploadState.SUCCEEDED


async def test_two_workers_share_the_queue(idle_ingest: Ingest):
    sent = [await send(idle_ingest, f"shared-{number}") for number in range(6)]
    async with replica(idle_ingest), replica(idle_ingest):
        ended = [await idle_ingest.ended(upload) for upload in sent]
    assert {(upload.state, upload.attempts) for upload in ended} == {(UploadState.SUCCEEDED, 1)}


async def test_of_two_identical_uploads_at_once_one_keeps_its_originals(
    idle_ingest: Ingest, monkeypatch
):
    resolve, token = Duplicates.resolve, idle_ingest.admin_token
    both, calls = asyncio.Barrier(2), itertools.count(1)

    async def at_once(self, upload):
        """The first attempt at either; a later one is that of the upload that waits."""
        if next(calls) <= 2:
            await both.wait()
        return await resolve(self, upload)

    monkeypatch.setattr(Duplicates, "resolve", at_once)
    async with replica(idle_ingest), replica(idle_ingest):
        for number in range(3):
            calls = itertools.count(1)
            content = content_of(np.full((3, 3, 3), next(NUMBERS)))
            names = [f"twin-{number}-{letter}" for letter in "ab"]
            sent = await asyncio.gather(
                *[idle_ingest.send(COLLECTION, {"a.npy": content}, id=name) for name in names]
            )
            ended = [await idle_ingest.ended(upload) for upload in sent]
            assert [upload.state for upload in ended] == [UploadState.SUCCEEDED] * 2
            places = [f"raw/{COLLECTION}/{upload.id}/" for upload in ended]
            [kept] = [key for place in places for key in await idle_ingest.keys(place)]
            for name in names:
                item = await idle_ingest.catalog.item(COLLECTION, name, token=token)
                assert item["assets"]["original-1"]["href"].endswith(f"/blobs/{kept}")
            told = [upload.duplicate_of for upload in ended]
            assert told in [[[], names[:1]], [names[1:], []]]


def test_work_ends_with_its_lease():
    answers, stopped = iter([True, True, False]), []

    async def renew():
        return next(answers)

    async def work():
        try:
            await asyncio.Event().wait()
        finally:
            stopped.append(True)

    with pytest.raises(LeaseLost):
        run_skipping_waits(while_leased(work(), renew, 20.0))
    assert stopped


def test_work_that_ends_in_time_gives_its_result():
    async def renew():
        return True

    async def work():
        await asyncio.sleep(50)
        return 7

    assert run_skipping_waits(while_leased(work(), renew, 20.0)) == 7


def test_work_ends_where_its_lease_cannot_be_renewed():
    async def renew():
        await asyncio.Event().wait()

    async def work():
        await asyncio.sleep(ends_s)

    for ends_s in (19, 21):
        with pytest.raises(LeaseLost) if ends_s > 20 else nullcontext():
            run_skipping_waits(while_leased(work(), renew, 20.0))

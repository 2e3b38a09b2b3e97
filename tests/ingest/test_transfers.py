"""Transfers whose client, replica or store goes away; the end of transfers."""

import asyncio
import hashlib
import io
from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
import numpy as np
import pytest

from hsis.clients.storage import StorageClient
from hsis.contracts.uploads import UploadState
from hsis.errors import NotFound
from hsis_ingest import receiving, transfer_repository
from tests.ingest.conftest import LEASE_S, Ingest
from tests.ingest.tus_client import (
    COLLECTION,
    MIB,
    OCTETS,
    Tus,
    bytes_of,
    stored,
    upload_of,
)
from tests.support.servers import served


def id_of(url: str) -> UUID:
    """Of the transfer that has this URL."""
    return UUID(url.rsplit("/", 1)[1])


@pytest.fixture
def tus(idle_ingest: Ingest) -> Tus:
    return Tus(idle_ingest.http, idle_ingest.url, idle_ingest.admin_token)


async def test_a_client_that_goes_away_and_comes_back(idle_ingest: Ingest, tus: Tus):
    content = bytes_of(12 * MIB, 4)
    url = await tus.created(len(content), "away.npy")

    async def broken():
        yield content[: 9 * MIB]
        await asyncio.sleep(0.3)
        raise ConnectionError("pulled the plug")

    with pytest.raises(ConnectionError):
        await tus.send(url, 0, broken(), Content_Length=len(content))
    at = 9 * MIB
    async with asyncio.timeout(60):
        while await tus.offset(url) != at:  # the last MiB too, which is not enough for a part
            await asyncio.sleep(0.05)
    assert (await tus.send(url, at, content[at:])).status_code == 204
    assert await stored(idle_ingest, "away.npy") == content


async def test_one_request_at_a_time(idle_ingest: Ingest, tus: Tus):
    url = await tus.created(100, "twice.npy")

    async def endless():
        while True:
            yield b"x"
            await asyncio.sleep(0.05)

    first = asyncio.create_task(tus.send(url, 0, endless(), Content_Length=100))
    await idle_ingest.renewed("SELECT lease_until FROM transfers WHERE id = $1", id_of(url))
    second = await tus.send(url, 0, b"y")
    assert second.status_code == 423
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert 0 < await tus.offset(url) < 100


async def test_a_silent_request_gives_way_to_one_that_asks(idle_ingest: Ingest, tus: Tus):
    url = await tus.created(10, "silent.npy")

    async def silent():
        yield b"abc"
        await asyncio.Event().wait()

    hanging = asyncio.create_task(tus.send(url, 0, silent(), Content_Length=10))
    async with asyncio.timeout(60):
        while await tus.offset(url) != 3:
            await asyncio.sleep(0.05)
    assert (await tus.send(url, 3, b"defghij")).status_code == 204
    hanging.cancel()
    await asyncio.gather(hanging, return_exceptions=True)
    assert await stored(idle_ingest, "silent.npy") == b"abcdefghij"


async def test_a_client_that_sends_nothing_is_told_to_come_back(idle_ingest: Ingest, tus: Tus):
    async with served(idle_ingest.app(transfer_idle_s=0.3)) as url:
        impatient = Tus(tus.http, url, tus.token)
        transfer = httpx.URL(await impatient.created(10, "idle.npy"))
        reader, writer = await asyncio.open_connection(transfer.host, transfer.port)
        # In one piece: what comes late on a busy machine is no silence of the client.
        writer.write(
            f"PATCH {transfer.path} HTTP/1.1\r\nHost: {transfer.host}\r\n"
            f"Authorization: Bearer {tus.token}\r\nTus-Resumable: 1.0.0\r\n"
            f"Content-Type: {OCTETS}\r\nUpload-Offset: 0\r\nContent-Length: 10\r\n\r\nabc".encode()
        )
        async with asyncio.timeout(60):
            assert (await reader.readline()).startswith(b"HTTP/1.1 ")
        writer.transport.abort()
        assert await impatient.offset(str(transfer)) == 3
        assert (await impatient.send(str(transfer), 3, b"defghij")).status_code == 204
    assert await stored(idle_ingest, "idle.npy") == b"abcdefghij"


async def test_any_replica_goes_on(idle_ingest: Ingest, tus: Tus):
    content = bytes_of(21 * MIB, 5)
    url = await tus.created(len(content), "replicas.npy")
    path = url.removeprefix(tus.url)
    async with served(idle_ingest.app()) as other:
        at = 0
        for size, base in ((9 * MIB, tus.url), (8 * MIB, other), (4 * MIB, tus.url)):
            sent = await tus.send(base + path, at, content[at : at + size])
            assert sent.status_code == 204
            at += size
    assert await stored(idle_ingest, "replicas.npy") == content
    assert (await upload_of(idle_ingest, "replicas.npy")).files[0].sha256 is None


async def test_a_store_that_lost_the_parts_gets_them_again(idle_ingest: Ingest, tus: Tus):
    content = bytes_of(20 * MIB, 6)
    url = await tus.created(len(content), "lost.npy")
    assert (await tus.send(url, 0, content[: 9 * MIB])).status_code == 204
    upload = await upload_of(idle_ingest, "lost.npy")
    # As a store does that keeps unfinished uploads only as long as it runs.
    token = idle_ingest.make_token("service:ingest", scopes=("service",))
    async with httpx.AsyncClient(
        headers={"Authorization": f"Bearer {token}"}, trust_env=False
    ) as http:
        storage = StorageClient(http, idle_ingest.storage_url)
        await storage.abort_parts(f"raw/{COLLECTION}/{upload.id}/lost.npy")
    answer = await tus.send(url, 9 * MIB, content[9 * MIB :])
    assert answer.status_code == 409
    assert await tus.offset(url) == 0
    assert (await tus.send(url, 0, content)).status_code == 204
    assert await stored(idle_ingest, "lost.npy") == content


async def test_an_upload_that_is_given_up_ends_its_transfers(idle_ingest: Ingest, tus: Tus):
    url = await tus.created(20 * MIB, "abandoned.npy")
    assert (await tus.send(url, 0, bytes_of(9 * MIB))).status_code == 204
    upload = await upload_of(idle_ingest, "abandoned.npy")
    await idle_ingest.client.delete(upload.id, token=idle_ingest.admin_token)
    assert (await tus.send(url, 9 * MIB, b"x")).status_code in {404, 423}
    raw, staging = f"raw/{COLLECTION}/{upload.id}/", f"staging/transfers/{id_of(url)}/"
    assert len(idle_ingest.unfinished(raw)) == 1
    async with served(idle_ingest.app(worker_enabled=True)):
        await idle_ingest.emptied(staging)
        async with asyncio.timeout(60):
            while idle_ingest.unfinished(raw):
                await asyncio.sleep(0.05)
    assert (await tus.ask("HEAD", url)).status_code == 404


async def test_what_rests_too_long_is_removed(idle_ingest: Ingest, tus: Tus):
    transfer = await tus.created(20 * MIB, "expired.npy")
    assert (await tus.send(transfer, 0, bytes_of(9 * MIB))).status_code == 204
    partial = (await tus.create(5, Upload_Concat="partial")).headers["Location"]
    await tus.send(partial, 0, b"whole")
    upload = await upload_of(idle_ingest, "expired.npy")
    assert upload.expires_at > datetime.now(UTC) + timedelta(hours=23)  # upload_ttl_s is a day
    await idle_ingest.sql(
        "UPDATE transfers SET expires_at = expires_at - interval '1 day' WHERE id = ANY($1)",
        [id_of(transfer), id_of(partial)],
    )
    await idle_ingest.sql(
        "UPDATE uploads SET expires_at = expires_at - interval '1 day' WHERE id = $1",
        UUID(upload.id),
    )
    assert (await tus.ask("HEAD", transfer)).status_code == 404
    assert (await tus.send(transfer, 9 * MIB, b"x")).status_code == 404
    raw = f"raw/{COLLECTION}/{upload.id}/"
    assert len(idle_ingest.unfinished(raw)) == 1
    prefixes = [f"staging/transfers/{id_of(one)}/" for one in (transfer, partial)]
    assert [len(await idle_ingest.keys(prefix)) for prefix in prefixes] == [1, 1]
    async with served(idle_ingest.app(worker_enabled=True)):
        await idle_ingest.emptied(*prefixes)
        async with asyncio.timeout(60):
            while idle_ingest.unfinished(raw):
                await asyncio.sleep(0.05)
    with pytest.raises(NotFound):
        await idle_ingest.client.upload(upload.id, token=idle_ingest.admin_token)


@pytest.fixture
def dies_before_it_notes(monkeypatch):
    """As SIGKILL once the store has made the file, and before the database knows."""
    note = receiving.note_finished
    deaths = iter([True])

    async def note_finished(*arguments):
        if next(deaths, False):
            raise RuntimeError("killed")
        return await note(*arguments)

    monkeypatch.setattr(receiving, "note_finished", note_finished)


@pytest.mark.usefixtures("dies_before_it_notes")
async def test_a_file_whose_completion_was_not_noted_is_complete(idle_ingest: Ingest, tus: Tus):
    content = bytes_of(9 * MIB, 10)
    url = await tus.created(len(content), "unnoted.npy")
    assert (await tus.send(url, 0, content)).status_code == 500
    assert not (await upload_of(idle_ingest, "unnoted.npy")).files[0].received
    assert await tus.offset(url) == len(content)
    assert await stored(idle_ingest, "unnoted.npy") == content


@pytest.mark.usefixtures("dies_before_it_notes")
async def test_it_is_complete_though_its_client_never_comes_back(idle_ingest: Ingest, tus: Tus):
    array = np.arange(8 * 1024 * 1200, dtype=np.uint8).reshape(8, 1024, 1200)
    buffer = io.BytesIO()
    np.save(buffer, array)
    content = buffer.getvalue()
    url = await tus.created(len(content), "forgotten.npy")
    assert (await tus.send(url, 0, content)).status_code == 500
    upload = await upload_of(idle_ingest, "forgotten.npy")
    async with served(idle_ingest.app(worker_enabled=True)):
        ended = await idle_ingest.ended(upload)
    assert ended.state is UploadState.SUCCEEDED
    # Of a file that more than one request received, too, the item has the checksum.
    item = await idle_ingest.catalog.item(COLLECTION, "forgotten", token=idle_ingest.admin_token)
    checksum = item["assets"]["original-1"]["file:checksum"]
    assert checksum == "1220" + hashlib.sha256(content).hexdigest()


async def test_a_replica_that_died_gives_way_after_its_lease(
    idle_ingest: Ingest, tus: Tus, monkeypatch
):
    async def never(*_):
        """As SIGKILL: the lease is not given back."""

    url = await tus.created(10, "died.npy")
    with monkeypatch.context() as killed:
        killed.setattr(transfer_repository, "release", never)
        assert (await tus.send(url, 0, b"abc")).status_code == 204
    assert (await tus.send(url, 3, b"defghij")).status_code == 423
    await idle_ingest.sql(
        "UPDATE transfers SET lease_until = lease_until - $2 * interval '1 s' WHERE id = $1",
        id_of(url),
        LEASE_S,
    )
    assert (await tus.send(url, 3, b"defghij")).status_code == 204
    assert await stored(idle_ingest, "died.npy") == b"abcdefghij"

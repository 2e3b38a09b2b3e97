"""Files sent and fetched over connections that break, and bytes that are not those expected."""

import asyncio
import hashlib
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
from tests.support.platform import Platform

from hsis.cli.journal import FileJournal
from hsis.clients import fetching, fetching_exports, sending
from hsis.clients.ingest import IngestClient
from hsis.clients.storage import StorageClient
from hsis.clients.tiles import TilesClient
from hsis.contracts.uploads import DeclaredFile, UploadRequest, UploadState
from hsis.errors import Conflict, InvalidInput, NotFound, Unavailable

CUT_AFTER_BYTES = 300_000


@pytest.fixture(autouse=True)
def _short_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "FIRST_DELAY_S", 0.02)
    monkeypatch.setattr(fetching, "RETRY_DELAYS_S", (0.05, 0.05))


@asynccontextmanager
async def line_to(
    url: str, cuts: int, *, cut_after: int = CUT_AFTER_BYTES, dead_after: int | None = None
) -> AsyncIterator[str]:
    """A TCP line to a server that breaks after `cut_after` bytes, as often as `cuts` says, and
    carries nothing more once it carried `dead_after` bytes in all."""
    left, total = cuts, 0
    parts = urlsplit(url)

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal left, total
        carried = 0
        while piece := await reader.read(65536):
            carried += len(piece)
            total += len(piece)
            if dead_after is not None and total > dead_after:
                return
            if left > 0 and carried > cut_after:
                left -= 1
                return
            writer.write(piece)
            await writer.drain()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(parts.hostname, parts.port)
        ways = {asyncio.create_task(carry(reader, back)), asyncio.create_task(carry(there, writer))}
        _, running = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in running:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        writer.transport.abort()
        back.close()  # the server gets what came through, and then the end

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.fixture(scope="module")
async def stack(platform_of: Any) -> AsyncIterator[Platform]:
    async with platform_of("catalog", "storage-proxy", "ingest", "tiles") as platform:
        yield platform


@pytest.fixture
async def http(stack: Platform) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {stack.admin_token}"}
    async with httpx.AsyncClient(trust_env=False, timeout=30, headers=headers) as client:
        yield client


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "cube.npy"
    np.save(path, np.random.default_rng(1).integers(0, 4000, (200, 300, 8), np.uint16))
    return path


def request_for(path: Path, item: str) -> UploadRequest:
    files = [DeclaredFile(name=path.name, size=path.stat().st_size)]
    return UploadRequest(collection="transfers", id=item, files=files)


async def ended(ingest: IngestClient, upload: str) -> UploadState:
    return [state async for state in ingest.wait(upload)][-1].state


async def test_an_interrupted_file_goes_on_from_where_it_was(
    stack: Platform, http: httpx.AsyncClient, file: Path
) -> None:
    progress: list[int] = []
    async with line_to(stack.ingest_url, cuts=2) as url:
        upload = await sending.send_files(
            IngestClient(http, url),
            request_for(file, "interrupted"),
            [file],
            on_progress=lambda _, count: progress.append(count),
        )
    size = file.stat().st_size
    assert progress[-1] == size
    assert set(progress) - {0, size}  # where it went on
    ingest = IngestClient(http, stack.ingest_url)
    assert await ended(ingest, upload.id) is UploadState.SUCCEEDED
    stored = await ingest.upload(upload.id)
    assert stored.files[0].sha256 == hashlib.sha256(file.read_bytes()).hexdigest()


async def test_a_new_process_goes_on_where_the_last_one_was_ended(
    stack: Platform, http: httpx.AsyncClient, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(file.parent))
    request = request_for(file, "ended")
    ingest = IngestClient(http, stack.ingest_url)
    started = asyncio.Event()

    def on_progress(_: str, count: int) -> None:
        if count:
            started.set()

    def journal() -> FileJournal:
        return FileJournal(stack.ingest_url, request, [file])

    async with line_to(stack.ingest_url, cuts=0, dead_after=500_000) as url:
        with pytest.raises(Unavailable):
            await sending.send_files(
                IngestClient(http, url), request, [file], tries=2, journal=journal(),
                on_progress=on_progress,
            )  # fmt: skip
    assert started.is_set()
    begun = journal().upload()
    progress: list[int] = []
    upload = await sending.send_files(
        ingest, request, [file], journal=journal(),
        on_progress=lambda _, count: progress.append(count),
    )  # fmt: skip
    assert upload.id == begun
    assert progress[0] > 0  # not from its start
    assert await ended(ingest, upload.id) is UploadState.SUCCEEDED
    assert journal().upload() is None
    assert list((file.parent / "hsis" / "uploads").iterdir()) == []


async def test_files_that_changed_are_sent_anew(
    stack: Platform, http: httpx.AsyncClient, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(file.parent))
    ingest = IngestClient(http, stack.ingest_url)
    request = request_for(file, "changed")
    async with line_to(stack.ingest_url, cuts=0, dead_after=500_000) as url:
        with pytest.raises(Unavailable):
            await sending.send_files(
                IngestClient(http, url), request, [file], tries=2,
                journal=FileJournal(stack.ingest_url, request, [file]),
            )  # fmt: skip
    np.save(file, np.ones((2, 3, 4), np.uint16))
    request = request_for(file, "changed")
    upload = await sending.send_files(
        ingest, request, [file], journal=FileJournal(stack.ingest_url, request, [file])
    )
    assert upload.files[0].size == file.stat().st_size
    assert await ended(ingest, upload.id) is UploadState.SUCCEEDED


async def test_an_upload_that_never_gets_through_is_given_up(
    stack: Platform, http: httpx.AsyncClient, file: Path
) -> None:
    async with line_to(stack.ingest_url, cuts=100, cut_after=20_000) as url:
        with pytest.raises(Unavailable):
            await sending.send_files(
                IngestClient(http, url), request_for(file, "again"), [file], tries=2
            )
    # The item id is free at once.
    ingest = IngestClient(http, stack.ingest_url)
    upload = await sending.send_files(ingest, request_for(file, "again"), [file])
    assert await ended(ingest, upload.id) is UploadState.SUCCEEDED


@pytest.fixture
async def stored(stack: Platform, http: httpx.AsyncClient, file: Path) -> fetching.Expected:
    """An uploaded original of more bytes than the line carries before it breaks."""
    ingest = IngestClient(http, stack.ingest_url)
    item = f"stored-{file.parent.name}".replace("_", "-")
    upload = await sending.send_files(ingest, request_for(file, item), [file])
    assert await ended(ingest, upload.id) is UploadState.SUCCEEDED
    document = (
        await http.get(f"{stack.catalog_url}/stac/collections/transfers/items/{item}")
    ).json()
    [original] = fetching.original_blobs(document)
    assert original.size == file.stat().st_size
    return original


async def test_an_interrupted_download_starts_again(
    stack: Platform,
    http: httpx.AsyncClient,
    file: Path,
    stored: fetching.Expected,
    tmp_path: Path,
) -> None:
    folder = tmp_path / "fetched"
    folder.mkdir()
    async with line_to(stack.storage_url, cuts=1) as url:
        found = await fetching.fetch_verified(StorageClient(http, url), stored, folder)
    assert found.read_bytes() == file.read_bytes()
    assert list(folder.iterdir()) == [found]


async def test_nothing_is_kept_of_a_download_that_failed(
    stack: Platform, http: httpx.AsyncClient, stored: fetching.Expected, tmp_path: Path
) -> None:
    folder = tmp_path / "fetched"
    folder.mkdir()
    other = fetching.Expected(stored.key, stored.filename, stored.size, "0" * 64)
    absent = fetching.Expected(stored.key + "x", stored.filename)
    storage = StorageClient(http, stack.storage_url)
    with pytest.raises(Conflict, match="SHA-256"):
        await fetching.fetch_verified(storage, other, folder)
    with pytest.raises(NotFound):
        await fetching.fetch_verified(storage, absent, folder)
    async with line_to(stack.storage_url, cuts=100) as url:
        with pytest.raises(Unavailable):
            await fetching.fetch_verified(StorageClient(http, url), stored, folder)
    assert list(folder.iterdir()) == []


async def test_an_interrupted_export_goes_on_and_is_the_file_that_was_uploaded(
    stack: Platform,
    http: httpx.AsyncClient,
    file: Path,
    stored: fetching.Expected,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fetching_exports, "RETRY_DELAYS_S", (0.05, 0.05))
    folder = tmp_path / "fetched"
    folder.mkdir()
    item = f"stored-{file.parent.name}".replace("_", "-")
    counts: list[int] = []

    async def fetch(url: str, query: dict[str, str], output: Path | None = None) -> Path:
        counts.clear()
        return await fetching_exports.fetch_export(
            TilesClient(http, url),
            "transfers",
            item,
            query,
            output or folder,
            on_progress=lambda _, count, length: counts.append(count),
        )

    async with line_to(stack.tiles_url, cuts=2) as url:
        found = await fetch(url, {"format": "npy"})
        assert found.read_bytes() == file.read_bytes()
        assert counts == sorted(counts)  # nothing came twice
    found.unlink()
    async with line_to(stack.tiles_url, cuts=1) as url:
        found = await fetch(url, {"format": "envi"})  # an archive comes from its start again
        with zipfile.ZipFile(found) as archive:
            assert archive.testzip() is None
        with pytest.raises(Conflict, match="is there already"):
            await fetch(stack.tiles_url, {"format": "envi"})
    async with line_to(stack.tiles_url, cuts=100) as url:
        with pytest.raises(Unavailable):
            await fetch(url, {"format": "envi", "bands": "1:7"}, folder / "given.zip")
    with pytest.raises(InvalidInput, match="numbered 1 to 8"):
        await fetch(stack.tiles_url, {"format": "envi", "bands": "9"})
    assert list(folder.iterdir()) == [found]


def test_a_key_never_leads_out_of_the_folder() -> None:
    assets = {"a": {"href": "http://h/blobs/raw/c/u/..", "file:checksum": "1220" + "0" * 64}}
    with pytest.raises(InvalidInput, match="no safe path"):
        fetching.original_blobs({"assets": assets})

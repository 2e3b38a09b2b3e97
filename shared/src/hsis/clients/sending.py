"""Sending files from disk: one upload with all of its files, an interrupted one sent again."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from pathlib import Path

from hsis.clients.ingest import IngestClient
from hsis.contracts.uploads import Upload, UploadRequest
from hsis.errors import Conflict, DomainError, InvalidInput, Unavailable

READ_BYTES = 1024 * 1024
RETRY_DELAYS_S = (0.5, 2.0, 5.0)

OnProgress = Callable[[str, int], None]
"""Called with a file's name and the number of its bytes sent so far (0 when it starts again)."""


async def send_files(
    ingest: IngestClient,
    request: UploadRequest,
    paths: Sequence[Path],
    *,
    token: str | None = None,
    on_progress: OnProgress | None = None,
) -> Upload:
    """Announce an upload and send its files in order; `paths` are those of `request.files`.

    A file whose connection broke is sent again from its start, a few times. When that does not
    help, or on cancellation, the upload is given up so that its item id is free again.
    """
    declared = [file.name for file in request.files]
    if declared != [path.name for path in paths]:
        raise InvalidInput(f"The files {declared} are announced; the paths must be theirs.")
    upload = await ingest.create(request, token=token)
    try:
        for path in paths:
            upload = await _send(ingest, upload.id, path, token, on_progress or _ignore)
    except BaseException:
        with suppress(DomainError):
            await ingest.delete(upload.id, token=token)
        raise
    return upload


async def _send(
    ingest: IngestClient, upload: str, path: Path, token: str | None, on_progress: OnProgress
) -> Upload:
    interrupted = False
    for delay in (*RETRY_DELAYS_S, None):
        try:
            return await ingest.put_file(upload, path.name, _read(path, on_progress), token=token)
        except Unavailable:
            interrupted = True
            if delay is None:
                raise
        except Conflict:  # after an interruption: ingest has the file, or still waits for the rest
            if not interrupted or delay is None:
                raise
        await asyncio.sleep(delay)
        with suppress(Unavailable):
            current = await ingest.upload(upload, token=token)
            if any(file.name == path.name and file.received for file in current.files):
                return current
    raise AssertionError("the last round returns or raises")


async def _read(path: Path, on_progress: OnProgress) -> AsyncIterator[bytes]:
    sent = 0
    on_progress(path.name, sent)
    file = await asyncio.to_thread(path.open, "rb")
    try:
        while piece := await asyncio.to_thread(file.read, READ_BYTES):
            yield piece
            sent += len(piece)
            on_progress(path.name, sent)
    finally:
        file.close()


def _ignore(_name: str, _sent: int) -> None:
    return None

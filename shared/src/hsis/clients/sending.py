"""Sending files from disk: one upload with all of its files, gone on with where it broke off."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from hsis.clients.base import problem_of
from hsis.clients.ingest import IngestClient
from hsis.contracts.uploads import Upload, UploadRequest, UploadState
from hsis.errors import (
    Conflict,
    DomainError,
    Forbidden,
    InvalidInput,
    NotFound,
    Unauthenticated,
    Unavailable,
)

READ_BYTES = 1024 * 1024
DEFAULT_TRIES = 8
FIRST_DELAY_S, MAX_DELAY_S = 0.5, 30.0
LOCKED = 423
MENDED = (Unavailable, Unauthenticated, Forbidden)
"""What time or a new token mends: an upload that ended so can be gone on with."""

OnProgress = Callable[[str, int], None]
"""Called with a file's name and the number of its bytes that are sent so far."""


class Journal(Protocol):
    """Remembers an upload that is on its way, for when this program dies."""

    def upload(self) -> str | None:
        """The upload that these very files were being sent to."""

    def transfer(self, name: str) -> str | None:
        """The transfer of one of the files."""

    def outdated(self) -> str | None:
        """An upload of the same paths whose files have changed since."""

    def key(self) -> str:
        """What to announce the upload with: the same until `note_upload`, in another process too.
        It is remembered before it is answered."""

    def note_upload(self, upload: str) -> None:
        """Remember the upload that was announced."""

    def note_transfer(self, name: str, transfer: str) -> None:
        """Remember the transfer of one of the files."""

    def forget(self) -> None:
        """Nothing is on its way any more."""


async def send_files(
    ingest: IngestClient,
    request: UploadRequest,
    paths: Sequence[Path],
    *,
    token: str | None = None,
    on_progress: OnProgress | None = None,
    tries: int = DEFAULT_TRIES,
    journal: Journal | None = None,
) -> Upload:
    """Announce an upload and send its files in order; `paths` are those of `request.files`.

    What breaks off goes on from where it was, until `tries` in a row brought nothing further. With
    a `journal` the same call then goes on another time, in another process too; without one the
    upload is given up, so that its item id is free again.
    """
    declared = [file.name for file in request.files]
    if declared != [path.name for path in paths]:
        raise InvalidInput(f"The files {declared} are announced; the paths must be theirs.")
    upload = await _begun(ingest, request, token, journal)
    try:
        for path in paths:
            if not any(file.name == path.name and file.received for file in upload.files):
                sending = _Sending(ingest, upload.id, path, token, on_progress, tries, journal)
                await sending.run()
        upload = await _asked(ingest, upload.id, token, tries)
    except BaseException as error:
        lasting = isinstance(error, DomainError) and not isinstance(error, MENDED)
        if journal is None or lasting:
            with suppress(DomainError):
                await ingest.delete(upload.id, token=token)
            if journal is not None:
                journal.forget()
        raise
    if journal is not None:
        journal.forget()
    return upload


async def _begun(
    ingest: IngestClient, request: UploadRequest, token: str | None, journal: Journal | None
) -> Upload:
    """The upload that was begun before, or a new one."""
    if journal is not None:
        known = journal.upload()
        if known is not None:
            with suppress(NotFound):
                found = await ingest.upload(known, token=token)
                if found.state is not UploadState.FAILED:
                    return found
        old = journal.outdated()
        if old is not None:
            with suppress(NotFound, Conflict):
                await ingest.delete(old, token=token)
    # The answer may be lost: the same key finds the upload that was made then.
    key = str(uuid.uuid4()) if journal is None else journal.key()
    upload = await ingest.create(request, key=key, token=token)
    if journal is not None:
        journal.note_upload(upload.id)
    return upload


class _Sending:
    """One file on its way."""

    def __init__(
        self,
        ingest: IngestClient,
        upload: str,
        path: Path,
        token: str | None,
        on_progress: OnProgress | None,
        tries: int,
        journal: Journal | None,
    ) -> None:
        self._ingest = ingest
        self._upload = upload
        self._path = path
        self._token = token
        self._on_progress = on_progress
        self._tries = tries
        self._journal = journal
        self._transfer = None if journal is None else journal.transfer(path.name)

    async def run(self) -> None:
        """Send it, or the rest of it."""
        length = self._path.stat().st_size
        failures, furthest = 0, -1
        while True:
            try:
                offset = await self._offset(length)
                if offset == length:
                    self._tell(length)
                    return
                if offset > furthest:
                    failures, furthest = 0, offset
                await self._ingest.send_bytes(
                    self._transfer or "",
                    offset,
                    self._read(offset, length),
                    size=length - offset,
                    token=self._token,
                )
            except DomainError as error:
                if not self._may_pass(error):
                    raise
                failures += 1
                if failures >= self._tries:
                    raise
                await asyncio.sleep(min(MAX_DELAY_S, FIRST_DELAY_S * 2 ** (failures - 1)))

    async def _offset(self, length: int) -> int:
        if self._transfer is not None:
            with suppress(NotFound):
                return await self._ingest.transfer_offset(self._transfer, token=self._token)
            self._transfer = None
        self._transfer = await self._ingest.create_transfer(
            self._upload, self._path.name, length, token=self._token
        )
        if self._journal is not None:
            self._journal.note_transfer(self._path.name, self._transfer)
        # An empty file is complete at once.
        return 0

    async def _read(self, offset: int, length: int) -> AsyncIterator[bytes]:
        self._tell(offset)
        file = await asyncio.to_thread(self._path.open, "rb")
        try:
            file.seek(offset)
            while offset < length:
                piece = await asyncio.to_thread(file.read, min(READ_BYTES, length - offset))
                if not piece:
                    raise InvalidInput(f"{self._path.name} became shorter while it was sent.")
                yield piece
                offset += len(piece)
                self._tell(offset)
        finally:
            file.close()

    def _may_pass(self, error: DomainError) -> bool:
        """Whether trying again may help: the server was away, another request holds the transfer,
        or what is stored of it is not what was thought."""
        if isinstance(error, Conflict):
            return self._transfer is not None
        problem = problem_of(error)
        locked = problem is not None and problem.status == LOCKED
        return locked or isinstance(error, Unavailable)

    def _tell(self, count: int) -> None:
        if self._on_progress is not None:
            self._on_progress(self._path.name, count)


async def _asked(ingest: IngestClient, upload: str, token: str | None, tries: int) -> Upload:
    """Where the upload stands; a server that is just away is asked again."""
    for failures in range(1, tries + 1):
        try:
            return await ingest.upload(upload, token=token)
        except Unavailable:
            if failures == tries:
                raise
            await asyncio.sleep(min(MAX_DELAY_S, FIRST_DELAY_S * 2 ** (failures - 1)))
    raise AssertionError("the last round returns or raises")

"""HTTP of uploads."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request
from pydantic import BaseModel

from hsis.contracts.access import Role
from hsis.contracts.ids import ResourceId
from hsis.contracts.uploads import Filename, RetryRequest, Upload, UploadRequest
from hsis.digits import natural
from hsis.errors import InvalidInput
from hsis.service.postgres import autocommit
from hsis.service.tokens import OptionalCaller, RequiredCaller
from hsis_ingest import repository, uploads
from hsis_ingest.state import AppState

router = APIRouter(prefix="/uploads", tags=["uploads"])


class UploadList(BaseModel):
    """Uploads, the newest first."""

    uploads: list[Upload]


@router.post("", status_code=201)
async def create_upload(
    state: AppState,
    caller: RequiredCaller,
    request: UploadRequest,
    idempotency_key: Annotated[UUID | None, Header()] = None,
) -> Upload:
    """Announce an upload and its files; then send each of them.

    Announced again with the same Idempotency-Key, the first upload is answered.
    """
    return await uploads.announce(state, caller, request, idempotency_key)


@router.get("")
async def list_uploads(
    state: AppState,
    caller: OptionalCaller,
    collection: ResourceId,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    without_item: Annotated[bool, Query(description="Only those that are no item yet")] = False,
) -> UploadList:
    """A collection's uploads, the newest first; of the files and scenes of each the first ones, of
    the scenes those that can be converted again before others."""
    await state.access.require(caller, collection, Role.VIEWER)
    async with autocommit(state.pool) as db:
        rows = await repository.newest(
            db,
            collection,
            limit,
            entries=state.settings.list_max_entries,
            without_item=without_item,
        )
    return UploadList(uploads=[row.told() for row in rows])


@router.get("/{upload}")
async def get_upload(state: AppState, caller: OptionalCaller, upload: UUID) -> Upload:
    """Where an upload and its conversion stand; to editors also what was asked for."""
    return await uploads.told(state, caller, upload)


@router.put("/{upload}/{filename}")
async def put_file(
    state: AppState, caller: RequiredCaller, upload: UUID, filename: Filename, request: Request
) -> Upload:
    """Send an announced file as the body. The last one queues the conversion."""
    found = await uploads.visible(state, caller, upload, Role.EDITOR)
    stated = request.headers.get("Content-Length")
    length = None if stated is None else natural(stated)
    if stated is not None and length is None:
        raise InvalidInput("Content-Length is no number.")
    return await uploads.receive(state, found, filename, length, request.stream())


@router.post("/{upload}/retry")
async def retry_upload(
    state: AppState, caller: RequiredCaller, upload: UUID, request: RetryRequest | None = None
) -> Upload:
    """Convert a failed upload again whose files are kept, as `expires_at` tells; with other
    metadata, or another reflectance of the white panel, where these did not fit the cube."""
    await uploads.visible(state, caller, upload, Role.EDITOR)
    return await uploads.retry(state, upload, request or RetryRequest())


@router.delete("/{upload}", status_code=204)
async def delete_upload(state: AppState, caller: RequiredCaller, upload: UUID) -> None:
    """Give an unfinished or failed upload up; what was stored for it is removed. Of an archive the
    scenes that are items stay."""
    await uploads.visible(state, caller, upload, Role.EDITOR)
    await uploads.give_up(state, upload)

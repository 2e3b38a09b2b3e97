"""HTTP of uploads in parts, for the other services: a blob that many requests make together.

Parts are those of S3: from 1 in ascending order, at most 10,000, each but the last of 5 MiB or
more.
"""

from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from starlette.datastructures import QueryParams
from starlette.routing import Match
from starlette.types import Scope

from hsis.contracts.blobs import Blob, Part, PartsUpload
from hsis.digits import natural
from hsis.errors import InvalidInput, TooLarge
from hsis.service.tokens import ServiceCaller
from hsis_storage_proxy.keys import check_key
from hsis_storage_proxy.requests import body_of, content_type_of
from hsis_storage_proxy.settings import MAX_PARTS
from hsis_storage_proxy.state import AppState, State


class PartsRoute(APIRoute):
    """Takes the requests whose query has `upload` or `uploads`; the others are of whole blobs."""

    def matches(self, scope: Scope) -> tuple[Match, Any]:
        """Whether this route answers the request."""
        if scope["type"] == "http":
            query = QueryParams(scope["query_string"]) if scope["query_string"] else ()
            if "upload" not in query and "uploads" not in query:
                return Match.NONE, {}
        return super().matches(scope)


class Etags(BaseModel):
    """The entity tags of all parts, in their order."""

    etags: list[str] = Field(min_length=1, max_length=MAX_PARTS)


router = APIRouter(prefix="/blobs", tags=["blobs"], route_class=PartsRoute)
Key = Annotated[str, Path()]
Upload = Annotated[str, Query(min_length=1, max_length=1024)]


@router.post("/{key:blob}", include_in_schema=False)
async def begin_or_complete(
    request: Request,
    state: AppState,
    _: ServiceCaller,
    key: Key,
    upload: Upload | None = None,
    body: Etags | None = None,
) -> PartsUpload | Blob:
    """`?uploads` begins an upload in parts; `?upload=` makes the blob of the parts named."""
    check_key(key, privileged=True)
    if upload is None:
        begun = await state.store.begin_parts(key, content_type_of(request))
        return PartsUpload(upload=begun)
    if body is None:
        raise InvalidInput("The body must have the `etags` of the parts.")
    async with state.turns.of(key):
        await state.store.complete_parts(key, upload, body.etags)
        return await state.store.head(key)


@router.put("/{key:blob}", include_in_schema=False)
async def put_part(
    request: Request,
    state: AppState,
    _: ServiceCaller,
    key: Key,
    upload: Upload,
    part: Annotated[int, Query(ge=1, le=MAX_PARTS)],
) -> Part:
    """Store the body as one part, whole or not at all: its Content-Length must be told."""
    check_key(key, privileged=True)
    declared = _part_length(request, state)
    async with state.uploads.taken(prompt=True):
        pieces = body_of(request, declared, state.settings.body_timeout_s)
        async with aclosing(pieces):
            return Part(etag=await state.store.stream_part(key, upload, part, pieces, declared))


@router.delete("/{key:blob}", status_code=204, include_in_schema=False)
async def abort_parts(
    state: AppState, _: ServiceCaller, key: Key, upload: Upload | None = None
) -> None:
    """Give an upload in parts up, with `?uploads` every one of the key; 204 also where none is."""
    check_key(key, privileged=True)
    if upload is None:
        await state.store.abort_all_parts(key)
    else:
        await state.store.abort_parts(key, upload)


def _part_length(request: Request, state: State) -> int:
    declared = natural(request.headers.get("Content-Length", ""))
    if declared is None:
        raise InvalidInput("A part needs its Content-Length.")
    if declared > state.settings.part_bytes:
        raise TooLarge(
            f"A part has at most {state.settings.part_bytes} bytes (part_bytes); "
            f"this has {declared}."
        )
    return declared

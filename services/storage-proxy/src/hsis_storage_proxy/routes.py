"""HTTP of blobs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from starlette.types import Receive, Scope, Send

from hsis.contracts.blobs import Blob, BlobPage
from hsis.errors import InvalidInput, TooLarge
from hsis.service.tokens import OptionalCaller, ServiceCaller, optional_caller
from hsis_storage_proxy.conditions import Conditions
from hsis_storage_proxy.digests import BodyDigests, wants_sha256
from hsis_storage_proxy.errors import CodedBody
from hsis_storage_proxy.keys import check_key, check_prefix, check_removable_prefix
from hsis_storage_proxy.limits import LimitedRoute
from hsis_storage_proxy.multipart import OpenRanges
from hsis_storage_proxy.permissions import is_privileged, require_read, require_write
from hsis_storage_proxy.ranges import parse_ranges
from hsis_storage_proxy.reading import NotModified, look, read
from hsis_storage_proxy.requests import body_of, content_type_of
from hsis_storage_proxy.responses import (
    content_response,
    elsewhere_response,
    head_response,
    not_modified_response,
    ranges_response,
)
from hsis_storage_proxy.state import AppState, State, state_of
from hsis_storage_proxy.store import LIST_LIMIT
from hsis_storage_proxy.writing import at_most, write


class PlainRoute(LimitedRoute):
    """Calls its endpoint with the request and the key alone, and sends what that returns.

    FastAPI's own handling of dependencies and answers took more than the reading of a small range.
    """

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; in FastAPI's way where it is of a method that the route has not."""
        if scope["method"] not in (self.methods or ()):
            await super().answer(scope, receive, send)
            return
        request = Request(scope, receive, send)
        response: Response = await self.endpoint(request, request.path_params["key"])
        await response(scope, receive, send)


router = APIRouter(prefix="/blobs", tags=["blobs"], route_class=LimitedRoute)


@router.get("")
async def list_blobs(
    state: AppState,
    caller: OptionalCaller,
    prefix: Annotated[str, Query(description="Such as `cubes/<collection>/`")] = "",
    after: Annotated[str | None, Query(description="The `next` of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=LIST_LIMIT)] = LIST_LIMIT,
    delimiter: Annotated[
        Literal["/"] | None, Query(description="Tell what lies deeper by its `prefixes` only")
    ] = None,
) -> BlobPage:
    """The blobs whose key begins with `prefix`, in the order of the keys.

    Outside of a collection (`cubes/<collection>/…`) only administrators and services may list.
    """
    check_prefix(prefix)
    check_prefix(after or "")
    await require_read(state.access, caller, prefix)
    return await state.store.page(prefix, after, limit, folders=delimiter is not None)


@router.delete("")
async def delete_blobs(state: AppState, _: ServiceCaller, prefix: str) -> dict[str, int]:
    """Remove every blob under a prefix such as `cubes/<collection>/<item>/`. For services."""
    check_removable_prefix(prefix)
    return {"deleted": await state.store.delete_prefix(prefix)}


async def get_blob(request: Request, key: str) -> Response:
    """The bytes of a blob, or ranges of them; conditions as in RFC 9110.

    Several ranges are answered as multipart/byteranges, more than `max_ranges` with all bytes.
    With `?redirect=true` the answer may be 307 to the object store (setting `redirect_reads`).
    """
    state = await state_of(request)
    caller = await optional_caller(request)
    check_key(key, privileged=is_privileged(caller))
    await require_read(state.access, caller, key)
    if state.store.redirects and request.query_params.get("redirect") == "true":
        return await _elsewhere(request, state, key)
    header = ",".join(request.headers.getlist("Range"))
    wanted = parse_ranges(header, state.settings.max_ranges)
    # A service decides by what it reads, so it must be what every replica has written.
    fresh = (caller is not None and caller.is_service) or _wants_fresh(request)
    conditions = Conditions.of(request.headers)
    answer = await read(state.store, state.turns, key, conditions, wanted, fresh=fresh)
    if isinstance(answer, NotModified):
        return not_modified_response(answer.blob)
    digest = wants_sha256(request.headers.get("Want-Content-Digest"))
    patience_s = state.settings.reader_timeout_s
    if isinstance(answer, OpenRanges):
        return ranges_response(answer, patience_s=patience_s, digest=digest)
    return content_response(answer, patience_s=patience_s, digest=digest)


router.add_api_route(
    "/{key:blob}",
    get_blob,
    methods=["GET"],
    response_class=Response,
    route_class_override=PlainRoute,
)


@router.head("/{key:blob}", response_class=Response)
async def head_blob(
    request: Request, state: AppState, caller: OptionalCaller, key: str
) -> Response:
    """What GET would say of a blob."""
    check_key(key, privileged=is_privileged(caller))
    await require_read(state.access, caller, key)
    blob = await look(state.store, state.turns, key)
    if Conditions.of(request.headers).not_modified(blob):
        return not_modified_response(blob)
    return head_response(blob)


@router.put("/{key:blob}", status_code=201)
async def put_blob(
    request: Request, response: Response, state: AppState, caller: OptionalCaller, key: str
) -> Blob:
    """Store the body as a blob, replacing any before; `If-None-Match: *` never replaces one.

    The body may have any length, told or not. It becomes a blob whole or not at all, and only with
    the digests that Content-Digest or Repr-Digest tell (sha-256, sha-512). Conditions
    hold when it does: of two that create a blob at once, one is told 412. Several replicas do not
    see each other's changes of that very moment.
    """
    check_key(key, privileged=is_privileged(caller))
    await require_write(state.access, caller, key)
    declared = _declared_length(request, state)
    digests = BodyDigests.of(request.headers)
    if caller is None or not caller.is_service:  # services' keys never lie under one another
        await state.store.require_place(key)
    await _require_conditions(request, state, key)  # before the body comes: often that is enough
    limits = state.settings
    in_memory = declared is not None and declared <= limits.part_bytes
    prompt = in_memory and caller is not None and caller.is_service
    blob = await write(
        state.store,
        key,
        at_most(body_of(request, declared, limits.body_timeout_s), limits.max_object_bytes),
        content_type_of(request),
        limits.part_bytes,
        digests,
        place=lambda: state.uploads.taken(prompt=prompt),
        change=lambda: _change(request, state, key),
    )
    response.headers["ETag"] = blob.etag
    return blob


@router.delete("/{key:blob}", status_code=204)
async def delete_blob(request: Request, state: AppState, caller: OptionalCaller, key: str) -> None:
    """Remove a blob; the same answer when there is none."""
    check_key(key, privileged=is_privileged(caller))
    await require_write(state.access, caller, key)
    async with _change(request, state, key):
        await state.store.delete(key)


def _wants_fresh(request: Request) -> bool:
    return "no-cache" in request.headers.get("Cache-Control", "").lower()


async def _elsewhere(request: Request, state: State, key: str) -> Response:
    """The way to a blob that is there, for a reader that has not got it yet."""
    blob = await state.store.head(key)
    if Conditions.of(request.headers).not_modified(blob):
        return not_modified_response(blob)
    return elsewhere_response(
        await state.store.outward_url(key, state.settings.redirect_lifetime_s)
    )


@asynccontextmanager
async def _change(request: Request, state: State, key: str) -> AsyncIterator[None]:
    """The turn to change the key, taken where the request's conditions hold at that time."""
    async with state.turns.of(key):
        await _require_conditions(request, state, key)
        yield


async def _require_conditions(request: Request, state: State, key: str) -> None:
    conditions = Conditions.of(request.headers)
    if conditions:
        conditions.require_for_change(await state.store.find(key))


def _declared_length(request: Request, state: State) -> int | None:
    if "Content-Range" in request.headers:
        raise InvalidInput("A blob is stored whole: PUT with Content-Range is not possible.")
    coding = request.headers.get("Content-Encoding", "identity")
    if coding.strip().lower() not in {"", "identity"}:
        raise CodedBody(f"Content-Encoding is {coding!r}: send the bytes as they are to be stored.")
    declared = request.headers.get("Content-Length")
    if declared is None:
        return None
    if int(declared) > state.settings.max_object_bytes:
        raise TooLarge(
            f"A blob has at most {state.settings.max_object_bytes} bytes (max_object_bytes); "
            f"this has {declared}."
        )
    return int(declared)

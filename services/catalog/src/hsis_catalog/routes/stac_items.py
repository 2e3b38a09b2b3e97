"""/stac/collections/{collection}/items and /stac/search."""

import hashlib
from dataclasses import replace
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse

from hsis.contracts.access import Caller, Role
from hsis.errors import Conflict, NotFound
from hsis.service.entity_tags import names
from hsis.service.postgres import Connection, autocommit, transaction
from hsis.service.urls import public_origin
from hsis_catalog.access import require_role
from hsis_catalog.callers import AnyCaller, KnownCaller
from hsis_catalog.errors import InvalidDocument, InvalidQuery, PreconditionFailed
from hsis_catalog.repository import items, quotas, reservations, trash
from hsis_catalog.repository.search import Page
from hsis_catalog.repository.search import search as search_items
from hsis_catalog.routes.stac_collections import reach_of
from hsis_catalog.stac import answers
from hsis_catalog.stac.answers import GEOJSON
from hsis_catalog.stac.documents import read_json
from hsis_catalog.stac.items import item_of, removable_prefixes, stored_sizes
from hsis_catalog.stac.query import ItemQuery, from_body, from_parameters, page_token
from hsis_catalog.state import CatalogState, State

router = APIRouter(prefix="/stac", tags=["STAC"])
_ITEMS = "/collections/{collection}/items"


@router.get("/search")
async def search(request: Request, state: CatalogState, caller: AnyCaller) -> JSONResponse:
    """Items of every collection that the caller can see, newest first.

    Parameters: collections, ids, bbox or intersects (a GeoJSON geometry, URL-encoded), datetime,
    limit (10), token.
    """
    query = from_parameters(request.query_params.multi_items(), state.settings)
    return await _linked_page(request, state, caller, query)


@router.post("/search")
async def search_by_body(request: Request, state: CatalogState, caller: AnyCaller) -> JSONResponse:
    """The same search with its parameters in a JSON object."""
    body = await read_json(request)
    query = from_body(body, state.settings)
    origin = public_origin(request, state.settings)
    page = await _page(state, caller, query)
    here = {"href": f"{origin}/stac/search", "type": GEOJSON, "method": "POST"}
    links: list[dict[str, Any]] = [{"rel": "self", **here, "body": body}]
    if page.last is not None:
        links.append({"rel": "next", **here, "body": body | {"token": page_token(*page.last)}})
    return JSONResponse(
        answers.item_page(page.summaries, page.matched, links, origin), media_type=GEOJSON
    )


@router.get(_ITEMS)
async def list_items(
    request: Request, state: CatalogState, caller: AnyCaller, collection: str
) -> JSONResponse:
    """The items of one collection, newest first. Parameters: ids, bbox, datetime, limit, token."""
    if "collections" in request.query_params:
        raise InvalidQuery("collections: the path names the collection.")
    query = from_parameters(request.query_params.multi_items(), state.settings)
    async with autocommit(state.pool) as connection:
        await require_role(connection, caller, collection, Role.VIEWER)
    return await _linked_page(request, state, caller, replace(query, collections=[collection]))


@router.post(_ITEMS, status_code=201)
async def create_item(
    request: Request,
    state: CatalogState,
    caller: KnownCaller,
    collection: str,
    counted: Annotated[list[str] | None, Query(include_in_schema=False)] = None,
) -> JSONResponse:
    """Register an item. For editors.

    A service says with `counted` which assets it has stored; without it, all that say a size.
    """
    origin = public_origin(request, state.settings)
    async with autocommit(state.pool) as connection:
        await require_role(connection, caller, collection, Role.EDITOR)
    body = await read_json(request)
    new = item_of(body, collection, origin)
    async with transaction(state.pool) as connection:
        holder = await reservations.holder_of(connection, collection, new.id)
        if holder is not None and not caller.is_service:
            raise Conflict(f"An upload or a job is just making the item {new.id!r}.")
        if not await items.create(connection, new):
            raise Conflict(f"There is an item {new.id!r} in {collection!r} already.")
        if holder is not None:
            await reservations.release(connection, collection, new.id, holder)
            await quotas.release(connection, holder)
        if caller.is_service:
            sizes = stored_sizes(new.document, counted)
            await quotas.note_stored(connection, collection, sizes)
        made = await _stored(connection, collection, new.id, origin)
    made.status_code = 201
    made.headers["Location"] = made.headers["Content-Location"]
    return made


@router.get(_ITEMS + "/{item}")
async def get_item(
    request: Request, state: CatalogState, caller: AnyCaller, collection: str, item: str
) -> Response:
    """One item with all of its bands. Its strong ETag is for If-None-Match here, and for If-Match
    where it is replaced or removed."""
    async with autocommit(state.pool) as connection:
        await require_role(connection, caller, collection, Role.VIEWER)
        document = await items.get(connection, collection, item)
    if document is None:
        raise _no_item(collection, item)
    answer = _shown(document, public_origin(request, state.settings))
    known = _listed(request, "If-None-Match")
    if known is not None and names(known, answer.headers["ETag"], weak=True):
        return Response(status_code=304, headers={"ETag": answer.headers["ETag"]})
    return answer


@router.put(_ITEMS + "/{item}")
async def replace_item(
    request: Request,
    state: CatalogState,
    caller: KnownCaller,
    collection: str,
    item: str,
    counted: Annotated[list[str] | None, Query(include_in_schema=False)] = None,
) -> JSONResponse:
    """Replace an item's document; with If-Match, only as it was when its ETag was told. For
    editors.

    A service says with `counted` which assets it has stored; those that it takes out, it removes.
    """
    origin = public_origin(request, state.settings)
    async with autocommit(state.pool) as connection:
        await require_role(connection, caller, collection, Role.EDITOR)
    body = await read_json(request)
    new = item_of(body, collection, origin)
    if new.id != item:
        raise InvalidDocument(f"id is {new.id!r}; the path says {item!r}.")
    async with transaction(state.pool) as connection:
        await _require_match(request, connection, collection, item, origin)
        before = await items.get(connection, collection, item) if caller.is_service else None
        if not await items.replace(connection, new):
            raise _no_item(collection, item)
        if before is not None:
            sizes = stored_sizes(new.document, counted or ())
            await quotas.note_stored(connection, collection, sizes)
            named = {size.path for size in stored_sizes(new.document)}
            gone = [size.path for size in stored_sizes(before) if size.path not in named]
            await quotas.forget_unnamed(connection, collection, gone)
        return await _stored(connection, collection, item, origin)


@router.delete(_ITEMS + "/{item}", status_code=204)
async def delete_item(
    request: Request, state: CatalogState, caller: KnownCaller, collection: str, item: str
) -> Response:
    """Move an item to the trash, from which it can be restored for HSIS_TRASH_RETENTION_S; then
    what is stored for it is removed by ingest. With If-Match, only as it was when its ETag was
    told. For editors.

    What a service removes does not go to the trash: it is a result that nobody is to have.
    """
    async with transaction(state.pool) as connection:
        await require_role(connection, caller, collection, Role.EDITOR)
        origin = public_origin(request, state.settings)
        await _require_match(request, connection, collection, item, origin)
        document = await items.delete(connection, collection, item)
        if document is None:
            raise _no_item(collection, item)
        retention_s = state.settings.trash_retention_s
        if retention_s > 0 and not caller.is_service:
            await trash.put(connection, document, caller.name, retention_s)
        else:
            await items.remember_removed(connection, collection, item, removable_prefixes(document))
    return Response(status_code=204)


def _shown(document: dict[str, Any], origin: str) -> JSONResponse:
    """An item as GET answers it, with the ETag of these bytes."""
    answer = JSONResponse(
        answers.item(document, origin), headers={"Cache-Control": "no-cache"}, media_type=GEOJSON
    )
    answer.headers["ETag"] = f'"{hashlib.sha256(answer.body).hexdigest()}"'
    return answer


async def _stored(connection: Connection, collection: str, item: str, origin: str) -> JSONResponse:
    """What GET answers of an item that was just written, and where: its ETag is that of this
    answer, which is not the document as it was sent."""
    document = await items.get(connection, collection, item)
    assert document is not None, "written in this transaction"
    answer = _shown(document, origin)
    place = f"{answers.collection_url(collection, origin)}/items/{item}"
    answer.headers["Content-Location"] = place
    return answer


async def _require_match(
    request: Request, connection: Connection, collection: str, item: str, origin: str
) -> None:
    """PreconditionFailed where the item is not what If-Match names; it stays as it is until the
    end of the transaction. An item that is not there is no such failure (RFC 9110, 13.2.1)."""
    wanted = _listed(request, "If-Match")
    if wanted is None:
        return
    document = await items.get_to_change(connection, collection, item)
    if document is None:
        return
    etag = _shown(document, origin).headers["ETag"]
    if not names(wanted, etag, weak=False):
        raise PreconditionFailed(
            f"If-Match: the item {item!r} was changed, and its ETag is {etag}. Get it again, and "
            "change what is there now."
        )


def _listed(request: Request, header: str) -> str | None:
    """A header that is a list, which may come in several lines."""
    return ", ".join(request.headers.getlist(header)) or None


async def _linked_page(
    request: Request, state: State, caller: Caller | None, query: ItemQuery
) -> JSONResponse:
    """The page of a GET request, its links made of the request's parameters."""
    origin = public_origin(request, state.settings)
    page = await _page(state, caller, query)
    given = [pair for pair in request.query_params.multi_items() if pair[0] != "token"]
    here = origin + request.url.path
    own = f"{here}?{request.url.query}" if request.url.query else here
    links: list[dict[str, Any]] = [{"rel": "self", "href": own, "type": GEOJSON}]
    if page.last is not None:
        following = urlencode([*given, ("token", page_token(*page.last))])
        links.append(
            {"rel": "next", "href": f"{here}?{following}", "type": GEOJSON, "method": "GET"}
        )
    return JSONResponse(
        answers.item_page(page.summaries, page.matched, links, origin), media_type=GEOJSON
    )


async def _page(state: State, caller: Caller | None, query: ItemQuery) -> Page:
    async with transaction(state.pool) as connection:
        return await search_items(connection, reach_of(caller), query)


def _no_item(collection: str, item: str) -> NotFound:
    return NotFound(f"There is no item {item!r} in collection {collection!r}.")

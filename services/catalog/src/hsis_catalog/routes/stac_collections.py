"""/stac/collections."""

import asyncpg
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from hsis.contracts.access import Caller, Role, Scope
from hsis.errors import Conflict, Forbidden, NotFound, Unauthenticated
from hsis.service.postgres import autocommit, transaction
from hsis.service.urls import public_origin
from hsis_catalog.access import require_role
from hsis_catalog.callers import AnyCaller, KnownCaller, user_id
from hsis_catalog.errors import InvalidDocument
from hsis_catalog.repository import collections, grants
from hsis_catalog.repository.collections import Reach
from hsis_catalog.stac import answers
from hsis_catalog.stac.collections import collection_of
from hsis_catalog.stac.documents import read_json
from hsis_catalog.state import CatalogState

router = APIRouter(prefix="/stac/collections", tags=["STAC"])


def reach_of(caller: Caller | None) -> Reach:
    """What lists and searches of the caller reach; Forbidden without the scope `read`."""
    if caller is None:
        return Reach(False, None, None)
    caller.require_scope(Scope.READ)
    only = None if caller.collections is None else sorted(caller.collections)
    return Reach(caller.is_service or caller.is_admin, user_id(caller), only)


@router.get("")
async def list_collections(
    request: Request, state: CatalogState, caller: AnyCaller
) -> JSONResponse:
    """Every collection that the caller can see."""
    async with autocommit(state.pool) as connection:
        found = await collections.visible(connection, reach_of(caller))
    return JSONResponse(answers.collections(found, public_origin(request, state.settings)))


@router.post("", status_code=201)
async def create_collection(
    request: Request, state: CatalogState, caller: KnownCaller
) -> JSONResponse:
    """Create a collection, which the caller then owns; private until it is made public."""
    caller.require_scope(Scope.WRITE)
    origin = public_origin(request, state.settings)
    document = collection_of(await read_json(request), origin)
    name = document["id"]
    if caller.collections is not None and name not in caller.collections:
        raise Forbidden(f"This token does not open the collection {name!r}.")
    owner = user_id(caller)
    async with transaction(state.pool) as connection:
        if not await collections.create(connection, document):
            raise Conflict(f"There is a collection {name!r} already; take another id.")
        if owner is not None:
            try:
                await grants.put(connection, name, owner, Role.OWNER)
            except asyncpg.ForeignKeyViolationError:
                raise Unauthenticated("The token's user does not exist any more.") from None
    return JSONResponse(
        answers.collection(document, origin),
        201,
        headers={"Location": answers.collection_url(name, origin)},
    )


@router.get("/{collection}")
async def get_collection(
    request: Request, state: CatalogState, caller: AnyCaller, collection: str
) -> JSONResponse:
    """One collection."""
    async with autocommit(state.pool) as connection:
        await require_role(connection, caller, collection, Role.VIEWER)
        document = await collections.get(connection, collection)
    if document is None:
        raise _gone(collection)
    return JSONResponse(answers.collection(document, public_origin(request, state.settings)))


@router.put("/{collection}")
async def replace_collection(
    request: Request, state: CatalogState, caller: KnownCaller, collection: str
) -> JSONResponse:
    """Replace a collection's document. For owners."""
    origin = public_origin(request, state.settings)
    async with autocommit(state.pool) as connection:
        await require_role(connection, caller, collection, Role.OWNER)
    document = collection_of(await read_json(request), origin)
    if document["id"] != collection:
        raise InvalidDocument(f"id is {document['id']!r}; the path says {collection!r}.")
    async with autocommit(state.pool) as connection:
        if not await collections.replace(connection, document):
            raise _gone(collection)
    return JSONResponse(answers.collection(document, origin))


@router.delete("/{collection}", status_code=204)
async def delete_collection(state: CatalogState, caller: KnownCaller, collection: str) -> Response:
    """Remove a collection in which nothing is. For owners."""
    async with transaction(state.pool) as connection:
        await require_role(connection, caller, collection, Role.OWNER)
        await collections.delete(connection, collection)
    return Response(status_code=204)


def _gone(collection: str) -> NotFound:
    return NotFound(f"There is no collection {collection!r} any more.")

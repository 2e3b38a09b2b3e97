"""/stac/collections/{collection}/trash: removed items that can still be restored."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse

from hsis.contracts.access import Role
from hsis.contracts.trash import TrashEntry, TrashPage
from hsis.errors import NotFound
from hsis.service.postgres import Connection, autocommit, transaction
from hsis.service.tokens import ServiceCaller
from hsis.service.urls import public_origin
from hsis_catalog.access import require_role
from hsis_catalog.callers import KnownCaller
from hsis_catalog.errors import RestoreConflict
from hsis_catalog.repository import items, trash
from hsis_catalog.stac import answers
from hsis_catalog.stac.answers import GEOJSON
from hsis_catalog.stac.items import item_of
from hsis_catalog.state import CatalogState

router = APIRouter(prefix="/stac/collections/{collection}/trash", tags=["trash"])
_ENTRY = "/{entry}"


@router.get("")
async def list_trash(
    state: CatalogState,
    caller: KnownCaller,
    collection: str,
    item: str | None = None,
    after: Annotated[UUID | None, Query(description="The last entry of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> TrashPage:
    """What is in the trash, newest first. For editors."""
    async with autocommit(state.pool) as connection:
        await require_role(connection, caller, collection, Role.EDITOR)
        return TrashPage(
            entries=await trash.page(connection, collection, item, after, limit),
            total=await trash.count(connection, collection),
        )


@router.get(_ENTRY)
async def get_entry(
    state: CatalogState, caller: KnownCaller, collection: str, entry: UUID
) -> TrashEntry:
    """One entry. For editors."""
    async with autocommit(state.pool) as connection:
        await require_role(connection, caller, collection, Role.EDITOR)
        return await _find(connection, collection, entry)


@router.get(_ENTRY + "/item")
async def get_item(
    request: Request, state: CatalogState, caller: KnownCaller, collection: str, entry: UUID
) -> JSONResponse:
    """The item that it was. For editors."""
    async with autocommit(state.pool) as connection:
        await require_role(connection, caller, collection, Role.EDITOR)
        document = await trash.document(connection, collection, entry)
    if document is None:
        raise _no_entry(collection, entry)
    made = answers.item(document, public_origin(request, state.settings))
    return JSONResponse(made, media_type=GEOJSON)


@router.post(_ENTRY + "/restore", status_code=201)
async def restore(
    request: Request, state: CatalogState, caller: KnownCaller, collection: str, entry: UUID
) -> JSONResponse:
    """Make it the item again that it was. For editors.

    RestoreConflict where an item has the id by now, or the cube was replaced; it says what to do.
    """
    origin = public_origin(request, state.settings)
    async with transaction(state.pool) as connection:
        await require_role(connection, caller, collection, Role.EDITOR)
        # Who reserves the id from now on waits, and finds the item then.
        document = await trash.lock(connection, collection, entry)
        found = await _find(connection, collection, entry)
        if document is None:
            raise _no_entry(collection, entry)
        if not found.cube_kept:
            raise RestoreConflict(
                f"The cube of {found.item!r} was replaced since. {_another_way(found)}"
            )
        new = item_of(document, collection, origin)
        if not await items.create(connection, new):
            raise RestoreConflict(f"There is an item {found.item!r} again. {_another_way(found)}")
        await trash.forget(connection, collection, entry)
    made = answers.item(new.document, origin)
    location = f"{answers.collection_url(collection, origin)}/items/{new.id}"
    return JSONResponse(made, 201, headers={"Location": location}, media_type=GEOJSON)


@router.delete(_ENTRY, status_code=204)
async def purge(state: CatalogState, caller: KnownCaller, collection: str, entry: UUID) -> Response:
    """Remove it for good, now. For owners."""
    async with transaction(state.pool) as connection:
        await require_role(connection, caller, collection, Role.OWNER)
        if not await trash.purge(connection, collection, entry):
            raise _no_entry(collection, entry)
    return Response(status_code=204)


@router.delete("")
async def empty(state: CatalogState, caller: KnownCaller, collection: str) -> dict[str, int]:
    """Remove everything that is in the trash for good, now; how many entries. For owners."""
    async with transaction(state.pool) as connection:
        await require_role(connection, caller, collection, Role.OWNER)
        return {"purged": await trash.purge(connection, collection)}


@router.post(_ENTRY + "/converted", status_code=204, include_in_schema=False)
async def forget_converted(
    state: CatalogState, _: ServiceCaller, collection: str, entry: UUID
) -> Response:
    """What it keeps is another item's now, and stays; its cube goes where it still lies there. For
    services."""
    async with transaction(state.pool) as connection:
        await trash.purge(connection, collection, entry)
    return Response(status_code=204)


async def _find(connection: Connection, collection: str, entry: UUID) -> TrashEntry:
    found = await trash.get(connection, collection, entry)
    if found is None:
        raise _no_entry(collection, entry)
    return found


def _no_entry(collection: str, entry: UUID) -> NotFound:
    return NotFound(f"There is no entry {entry} in the trash of {collection!r}.")


def _another_way(entry: TrashEntry) -> str:
    if entry.upload is None or not entry.originals:
        return "It has no original files to be converted again: remove what has its id first."
    return (
        "POST /ingest/restore with its collection, its entry and another id (`hsis trash restore "
        "--id`) makes an item of its original files, which are kept."
    )

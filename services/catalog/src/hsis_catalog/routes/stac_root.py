"""/stac: the landing page, conformance, and the outbox of removed items."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from hsis.contracts.sweep import Removal
from hsis.service.postgres import autocommit, transaction
from hsis.service.tokens import ServiceCaller
from hsis.service.urls import public_origin
from hsis_catalog.repository import items, quotas, trash
from hsis_catalog.stac import answers
from hsis_catalog.state import CatalogState

OUTBOX_PAGE = 100
router = APIRouter(prefix="/stac", tags=["STAC"])


@router.get("")
async def landing(request: Request, state: CatalogState) -> dict[str, Any]:
    """The root of the STAC API."""
    return answers.landing(public_origin(request, state.settings))


@router.get("/conformance")
async def conformance() -> dict[str, Any]:
    """The conformance classes of the API."""
    return {"conformsTo": answers.CONFORMANCE}


@router.get("/removed-items", include_in_schema=False)
async def removed_items(
    state: CatalogState,
    _: ServiceCaller,
    collection: str | None = None,
    item: str | None = None,
) -> dict[str, Any]:
    """Items whose stored objects are still to be removed, oldest first: one page of all, or those
    that had this id. Those whose time in the trash is over are among them. For services."""
    async with transaction(state.pool) as connection:
        await trash.purge(connection)
        return {"removed": await items.removed(connection, collection, item, OUTBOX_PAGE)}


@router.get("/stored-prefixes", include_in_schema=False)
async def stored_prefix(state: CatalogState, _: ServiceCaller, prefix: str) -> dict[str, bool]:
    """Whether any item, one in the trash too, has files under `raw/<collection>/<upload>/` or
    `cubes/<collection>/<item>/`: these are not to be removed. For services."""
    async with autocommit(state.pool) as connection:
        return {"used": await items.uses(connection, prefix)}


@router.post("/unknown-prefixes", include_in_schema=False)
async def unknown_prefixes(
    state: CatalogState, _: ServiceCaller, removal: Removal
) -> dict[str, list[str]]:
    """Those of the prefixes that catalog knows nothing of. For services."""
    async with autocommit(state.pool) as connection:
        return {"unknown": await items.unknown(connection, removal.prefixes)}


@router.post("/removed-prefixes", status_code=204, include_in_schema=False)
async def removed_prefixes(state: CatalogState, _: ServiceCaller, removal: Removal) -> Response:
    """What lay under those of the prefixes that catalog knows nothing of is removed, and counts to
    no quota any more. For services."""
    async with transaction(state.pool) as connection:
        unknown = await items.unknown(connection, removal.prefixes)
        await quotas.forget_stored(connection, unknown)
    return Response(status_code=204)


@router.delete("/removed-items/{seq}", include_in_schema=False)
async def forget_removed_item(
    state: CatalogState, _: ServiceCaller, seq: Annotated[int, Path(ge=0, lt=2**63)]
) -> Response:
    """Nothing of that item is stored any more. For services."""
    async with transaction(state.pool) as connection:
        await quotas.forget_removed(connection, seq)
        await items.forget_removed(connection, seq)
    return Response(status_code=204)

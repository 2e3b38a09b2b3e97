"""/stac/collections/{collection}/template: what is said of every cube that is uploaded there."""

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from hsis.contracts.access import Role
from hsis.contracts.metadata import CubeMetadata
from hsis.errors import InvalidInput, NotFound
from hsis.service.postgres import autocommit
from hsis_catalog.access import require_role
from hsis_catalog.callers import AnyCaller, KnownCaller
from hsis_catalog.repository import templates
from hsis_catalog.state import CatalogState

router = APIRouter(prefix="/stac/collections/{collection}/template", tags=["templates"])


@router.get("", response_model=CubeMetadata)
async def get_template(state: CatalogState, caller: AnyCaller, collection: str) -> Response:
    """A collection's template. For viewers."""
    async with autocommit(state.pool) as connection:
        await require_role(connection, caller, collection, Role.VIEWER)
        found = await templates.get(connection, collection)
    if found is None:
        raise _no_template(collection)
    return JSONResponse(found.said())


@router.put("", response_model=CubeMetadata)
async def put_template(
    state: CatalogState, caller: KnownCaller, collection: str, template: CubeMetadata
) -> Response:
    """Set a collection's template in place of any before; it counts for conversions from now on.
    For owners."""
    if template.wavelengths_file is not None:
        raise InvalidInput(
            "A template lists its `wavelengths`; it cannot name a file of an upload."
        )
    async with autocommit(state.pool) as connection:
        await require_role(connection, caller, collection, Role.OWNER)
        await templates.put(connection, collection, template)
    return JSONResponse(template.said())


@router.delete("", status_code=204)
async def delete_template(state: CatalogState, caller: KnownCaller, collection: str) -> Response:
    """Remove a collection's template; items keep what they had of it. For owners."""
    async with autocommit(state.pool) as connection:
        await require_role(connection, caller, collection, Role.OWNER)
        if not await templates.delete(connection, collection):
            raise _no_template(collection)
    return Response(status_code=204)


def _no_template(collection: str) -> NotFound:
    return NotFound(f"The collection {collection!r} has no template.")

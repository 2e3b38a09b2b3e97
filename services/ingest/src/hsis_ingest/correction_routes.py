"""HTTP of the metadata of stored items: telling and correcting them."""

from typing import Annotated

from fastapi import APIRouter, Query

from hsis.contracts.access import Role
from hsis.contracts.ids import ResourceId
from hsis.contracts.metadata import CubeMetadata, ItemMetadata
from hsis.service.tokens import OptionalCaller, RequiredCaller
from hsis_ingest.state import AppState

router = APIRouter(prefix="/ingest/{collection}/{item}/metadata", tags=["metadata"])
Limit = Annotated[int, Query(ge=1, le=1000, description="Most corrections that are told")]


@router.get("", response_model=ItemMetadata)
async def get_metadata(
    state: AppState,
    caller: OptionalCaller,
    collection: ResourceId,
    item: ResourceId,
    limit: Limit = 20,
) -> ItemMetadata:
    """What is known of an item's cube, where it is from, and how it was corrected. For viewers; who
    corrected it is told to those who are logged in."""
    await state.access.require(caller, collection, Role.VIEWER)
    document = await state.catalog.item(
        collection, item, token=caller.token if caller is not None else None
    )
    return await state.corrector.known(document, limit if caller is not None else 0)


@router.patch("", response_model=ItemMetadata)
async def correct_metadata(
    state: AppState,
    caller: RequiredCaller,
    collection: ResourceId,
    item: ResourceId,
    changes: CubeMetadata,
    limit: Limit = 20,
) -> ItemMetadata:
    """Change the fields that are given, in the stored cube and in the item alike, without another
    conversion; null takes one away. Free properties are merged one by one. For editors.

    It is applied wholly, at once or (after 503) later; giving it again does no harm.
    """
    await state.access.require(caller, collection, Role.EDITOR)
    document = await state.corrector.correct(collection, item, caller, changes)
    return await state.corrector.known(document, limit)

"""HTTP of reservations, for services: who is making which item."""

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from hsis.contracts.ids import ResourceId
from hsis.errors import Conflict
from hsis.service.postgres import transaction
from hsis.service.tokens import ServiceCaller
from hsis_catalog.repository import reservations
from hsis_catalog.state import CatalogState

router = APIRouter(prefix="/stac/reservations", include_in_schema=False)


class Reservation(BaseModel):
    """An item's id, and who makes it: such as `upload:<id>` or `job:<id>`."""

    collection: ResourceId
    item: ResourceId
    holder: str = Field(min_length=1, max_length=100)


@router.post("")
async def reserve(state: CatalogState, _: ServiceCaller, wanted: Reservation) -> Reservation:
    """Reserve an id until it is released or expires. Conflict where another has it."""
    async with transaction(state.pool) as connection:
        if not await reservations.take(
            connection,
            wanted.collection,
            wanted.item,
            wanted.holder,
            state.settings.reservation_ttl_s,
        ):
            raise Conflict(
                f"An upload or a job is just making the item {wanted.item!r} in "
                f"{wanted.collection!r}; wait for its end, or give another id."
            )
    return wanted


@router.delete("", status_code=204)
async def release(
    state: CatalogState, _: ServiceCaller, collection: str, item: str, holder: str
) -> Response:
    """Give a reservation back."""
    async with transaction(state.pool) as connection:
        await reservations.release(connection, collection, item, holder)
    return Response(status_code=204)

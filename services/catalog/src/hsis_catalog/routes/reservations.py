"""HTTP of reservations, for services: who is making which item."""

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from hsis.contracts.ids import ResourceId
from hsis.errors import Conflict
from hsis.service.postgres import transaction
from hsis.service.tokens import ServiceCaller
from hsis_catalog.errors import InTrash
from hsis_catalog.repository import quotas, reservations, trash
from hsis_catalog.state import CatalogState

router = APIRouter(prefix="/stac/reservations", include_in_schema=False)


class Reservation(BaseModel):
    """An item's id, and who makes it: such as `upload:<id>` or `job:<id>`."""

    collection: ResourceId
    item: ResourceId
    holder: str = Field(min_length=1, max_length=100)
    replaces_trash: bool = Field(
        default=False,
        description="Whether it may take the place of a cube in the trash whose original files "
        "are kept",
    )


@router.post("")
async def reserve(state: CatalogState, _: ServiceCaller, wanted: Reservation) -> Reservation:
    """Reserve an id until it is released or expires. Conflict where another has it, InTrash where
    the trash keeps a cube of that id that is not to be replaced."""
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
        for entry in await trash.keeping_cube(connection, wanted.collection, wanted.item):
            if not (wanted.replaces_trash and entry.originals):
                raise InTrash(
                    f"The trash of {wanted.collection!r} keeps the cube of an item "
                    f"{wanted.item!r} (entry {entry.id}); restore or purge it, or give another id."
                )
            await trash.replace_cube(connection, wanted.collection, wanted.item)
            await quotas.forget_cube(connection, wanted.collection, wanted.item)
    return wanted


@router.delete("", status_code=204)
async def release(
    state: CatalogState, _: ServiceCaller, collection: str, item: str, holder: str
) -> Response:
    """Give a reservation back."""
    async with transaction(state.pool) as connection:
        await reservations.release(connection, collection, item, holder)
        await quotas.release(connection, holder)
    return Response(status_code=204)

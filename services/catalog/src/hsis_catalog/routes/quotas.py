"""/stac/collections/{collection}/quota, and for services who is about to store how much."""

from fastapi import APIRouter, Response

from hsis.contracts.access import Role
from hsis.contracts.quota import BytesReservation, Quota, QuotaRequest
from hsis.service.postgres import autocommit, transaction
from hsis.service.tokens import ServiceCaller
from hsis_catalog.access import require_role
from hsis_catalog.callers import KnownCaller
from hsis_catalog.errors import QuotaExceeded
from hsis_catalog.repository import quotas
from hsis_catalog.state import CatalogState

router = APIRouter(prefix="/stac", tags=["quotas"])
_QUOTA = "/collections/{collection}/quota"


@router.get(_QUOTA)
async def get_quota(state: CatalogState, caller: KnownCaller, collection: str) -> Quota:
    """How much may be stored in the collection, and how much is. For editors."""
    async with autocommit(state.pool) as connection:
        await require_role(connection, caller, collection, Role.EDITOR)
        return await quotas.get(connection, collection)


@router.put(_QUOTA)
async def put_quota(
    state: CatalogState, caller: KnownCaller, collection: str, wanted: QuotaRequest
) -> Quota:
    """Set the limit, or take it away. What is stored beyond it stays. For administrators."""
    caller.require_admin()
    async with transaction(state.pool) as connection:
        await require_role(connection, caller, collection, Role.OWNER)
        await quotas.put(connection, collection, wanted.allowed_bytes)
        return await quotas.get(connection, collection)


@router.put("/reserved-bytes", include_in_schema=False)
async def reserve_bytes(state: CatalogState, _: ServiceCaller, wanted: BytesReservation) -> Quota:
    """Note what an upload or a job is about to store. QuotaExceeded where it has no room. For
    services."""
    async with transaction(state.pool) as connection:
        await quotas.lock(connection, wanted.collection)
        quota = await quotas.get(connection, wanted.collection, wanted.holder)
        used = quota.used_bytes + quota.reserved_bytes
        if quota.allowed_bytes is not None and used + wanted.bytes > quota.allowed_bytes:
            raise QuotaExceeded(
                f"Collection {wanted.collection!r} may hold {quota.allowed_bytes} bytes, and "
                f"{used} are used ({quota.reserved_bytes} of these by uploads and jobs on their "
                f"way); {wanted.bytes} more were asked for. Remove items and empty the trash, or "
                "ask an administrator for more."
            )
        await quotas.reserve(
            connection,
            wanted.collection,
            wanted.holder,
            wanted.bytes,
            state.settings.reservation_ttl_s,
        )
        return await quotas.get(connection, wanted.collection)


@router.delete("/reserved-bytes", status_code=204, include_in_schema=False)
async def release_bytes(state: CatalogState, _: ServiceCaller, holder: str) -> Response:
    """Give what was noted back. For services."""
    async with autocommit(state.pool) as connection:
        await quotas.release(connection, holder)
    return Response(status_code=204)

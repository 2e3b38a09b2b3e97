"""Roles in collections: private by default, shared by role, or public."""

from hsis.contracts.access import Access, Caller, Role, Scope
from hsis.service.access import check_access, check_token_limits
from hsis.service.postgres import Connection
from hsis_catalog.callers import user_id
from hsis_catalog.repository import grants


async def access_of(connection: Connection, caller: Caller | None, collection: str) -> Access:
    """What the caller may do in the collection; role None where it may not know of it.

    A token's own limits count: one for other collections has no role, one without the scope
    `write` is never more than a viewer.
    """
    found = await grants.standing(connection, collection, user_id(caller))
    if found is None:
        return Access(collection=collection, role=None)
    role = _within_token(caller, collection, _role(caller, found))
    return Access(collection=collection, role=role, public=found.public if role else False)


async def require_role(
    connection: Connection, caller: Caller | None, collection: str, role: Role
) -> None:
    """Return when the caller has that role; Unauthenticated, Forbidden or NotFound otherwise."""
    check_token_limits(caller, collection, role)
    check_access(await access_of(connection, caller, collection), caller, role)


def _role(caller: Caller | None, found: grants.Standing) -> Role | None:
    if caller is not None and (caller.is_service or caller.is_admin):
        return Role.OWNER
    if found.role is not None:
        return found.role
    return Role.VIEWER if found.public else None


def _within_token(caller: Caller | None, collection: str, role: Role | None) -> Role | None:
    if caller is None or caller.is_service or role is None:
        return role
    if caller.collections is not None and collection not in caller.collections:
        return None
    if Scope.WRITE in caller.scopes:
        return role
    return Role.VIEWER if Scope.READ in caller.scopes else None

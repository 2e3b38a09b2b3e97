"""Whether a caller may do something in a collection: asked of catalog, reused for a few seconds."""

from cachetools import TTLCache

from hsis.clients.catalog import CatalogClient
from hsis.contracts.access import Access, Caller, Role, Scope
from hsis.errors import Forbidden, NotFound, Unauthenticated

MAX_ENTRIES = 10_000


def check_access(access: Access, caller: Caller | None, role: Role) -> None:
    """Raise unless `access`, catalog's answer for the caller, includes `role`.

    Unauthenticated for an anonymous caller, NotFound where the caller may not know that the
    collection exists, Forbidden where the role is too small.
    """
    if access.role is not None and access.role.includes(role):
        return
    if caller is None:
        raise Unauthenticated(
            f"Collection {access.collection!r} is not public or does not exist: a token is needed."
        )
    if access.role is None:
        raise NotFound(f"There is no collection {access.collection!r} that this token can see.")
    raise Forbidden(
        f"This needs the role {role} in collection {access.collection!r}; "
        f"the token has {access.role}."
    )


def check_token_limits(caller: Caller | None, collection: str, role: Role) -> None:
    """Raise Forbidden where the token itself, whatever its user's roles, does not reach so far."""
    if caller is None or caller.is_service:
        return
    if caller.collections is not None and collection not in caller.collections:
        raise Forbidden(
            f"This token opens only the collections {', '.join(sorted(caller.collections))}; "
            f"not {collection!r}."
        )
    caller.require_scope(Scope.READ if role is Role.VIEWER else Scope.WRITE)


class CollectionAccess:
    """Asks catalog for the caller's role in a collection and keeps answers for `ttl_s` seconds."""

    def __init__(self, catalog: CatalogClient, ttl_s: float) -> None:
        self._catalog = catalog
        self._answers: TTLCache[tuple[str | None, str], Access] = TTLCache(MAX_ENTRIES, ttl_s)

    async def require(self, caller: Caller | None, collection: str, role: Role) -> None:
        """Return when the caller has `role` in the collection, or is a service; else raise."""
        if caller is not None and caller.is_service:
            return
        check_token_limits(caller, collection, role)
        token = caller.token if caller else None
        access = self._answers.get((token, collection))
        if access is None or (access.role is None or not access.role.includes(role)):
            # A refusal is never taken from the cache: a role given a second ago counts at once.
            access = await self._catalog.access(collection, token=token)
            self._answers[token, collection] = access
        check_access(access, caller, role)

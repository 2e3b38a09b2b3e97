"""The caller of a request as catalog knows it: its user still exists, its key is not revoked."""

import uuid
from typing import Annotated

from fastapi import Depends

from hsis.contracts.access import Caller
from hsis.errors import Forbidden, Unauthenticated
from hsis.service.postgres import autocommit
from hsis.service.tokens import OptionalCaller
from hsis_catalog.repository import keys, users
from hsis_catalog.state import CatalogState


async def current_caller(verified: OptionalCaller, state: CatalogState) -> Caller | None:
    """The verified caller, or None for an anonymous request.

    Unauthenticated when the user is gone or the key is revoked. Whether the user is an
    administrator is what the database says now, not what it said when the token was signed.
    """
    if verified is None or verified.is_service:
        return verified
    async with autocommit(state.pool) as connection:
        if verified.key_id is not None:
            admin = await keys.owner_is_admin(connection, _uuid(verified.key_id))
        else:
            admin = await users.is_admin(connection, _uuid(verified.subject))
    if admin is None:
        raise Unauthenticated("The token's user or API key does not exist any more.")
    return verified.model_copy(update={"is_admin": admin and verified.is_admin})


async def known_caller(caller: Annotated[Caller | None, Depends(current_caller)]) -> Caller:
    """The caller; Unauthenticated for an anonymous request."""
    if caller is None:
        raise Unauthenticated("This needs a token: get one from POST /auth/token.")
    return caller


async def known_user(caller: Annotated[Caller, Depends(known_caller)]) -> Caller:
    """The caller, which must be a user and not a service."""
    if caller.is_service:
        raise Forbidden("A service has no user; only users may do this.")
    return caller


def user_id(caller: Caller | None) -> uuid.UUID | None:
    """The caller's user; None for anonymous requests and services."""
    return None if caller is None or caller.is_service else uuid.UUID(caller.subject)


def _uuid(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise Unauthenticated("The token names no user of this HSIS.") from None


AnyCaller = Annotated[Caller | None, Depends(current_caller)]
KnownCaller = Annotated[Caller, Depends(known_caller)]
KnownUser = Annotated[Caller, Depends(known_user)]

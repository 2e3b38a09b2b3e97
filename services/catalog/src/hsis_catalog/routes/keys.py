"""/auth/keys: API keys, which are tokens with a name that live long and can be revoked."""

import uuid
from datetime import datetime, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field, StringConstraints

from hsis.contracts.access import Caller, Scope
from hsis.contracts.ids import ResourceId
from hsis.errors import Forbidden, InvalidInput, NotFound
from hsis.service.postgres import autocommit
from hsis_catalog.callers import KnownUser
from hsis_catalog.repository import keys
from hsis_catalog.state import CatalogState

router = APIRouter(prefix="/auth/keys", tags=["access"])

KeyScope = Literal[Scope.READ, Scope.WRITE, Scope.ADMIN]
KeyName = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f]{1,200}$")]


class NewKey(BaseModel):
    """A key to make; `collections` are the only ones that it opens, None is no such limit."""

    name: KeyName
    scopes: list[KeyScope] = Field(default=[Scope.READ], min_length=1)
    collections: list[ResourceId] | None = Field(default=None, max_length=100)
    expires_in_days: int = Field(default=90, ge=1)


class KeyAnswer(BaseModel):
    """A key without its token."""

    id: str
    name: str
    scopes: list[str]
    collections: list[str] | None
    created_at: datetime
    expires_at: datetime


class MadeKey(KeyAnswer):
    """A new key; its token is told this once."""

    token: str


class KeyList(BaseModel):
    """The caller's keys, newest first."""

    keys: list[KeyAnswer]


@router.get("")
async def list_keys(state: CatalogState, caller: KnownUser) -> KeyList:
    """The caller's keys that are not revoked."""
    async with autocommit(state.pool) as connection:
        found = await keys.of_user(connection, uuid.UUID(caller.subject))
    return KeyList(keys=[KeyAnswer(**_told(key)) for key in found])


@router.post("", status_code=201)
async def create_key(state: CatalogState, caller: KnownUser, new: NewKey) -> MadeKey:
    """Make a key that may do no more than the caller; a key cannot make others."""
    _check(caller, new, state.settings.key_max_days)
    life = timedelta(days=new.expires_in_days)
    scopes = [str(scope) for scope in dict.fromkeys(new.scopes)]
    async with autocommit(state.pool) as connection:
        key = await keys.create(
            connection, uuid.UUID(caller.subject), new.name, scopes, new.collections, life
        )
    signed = state.signer.sign(
        caller.subject,
        caller.name,
        scopes,
        int(life.total_seconds()),
        admin=caller.is_admin,
        collections=new.collections,
        key_id=str(key.id),
    )
    return MadeKey(token=signed.access_token, **_told(key))


@router.delete("/{key}", status_code=204)
async def revoke_key(state: CatalogState, caller: KnownUser, key: uuid.UUID) -> Response:
    """Revoke a key of the caller's, or as an administrator anyone's."""
    owner = uuid.UUID(caller.subject)
    if caller.key_id not in {None, str(key)}:
        raise Forbidden("An API key can revoke only itself; log in to revoke others.")
    async with autocommit(state.pool) as connection:
        if not await keys.revoke(connection, key, None if caller.administers else owner):
            raise NotFound(f"There is no key {key} to revoke.")
    return Response(status_code=204)


def _check(caller: Caller, new: NewKey, max_days: int) -> None:
    if caller.key_id is not None:
        raise Forbidden("An API key cannot make others; log in for that.")
    for scope in new.scopes:
        caller.require_scope(scope)
    if Scope.ADMIN in new.scopes and new.collections is not None:
        raise InvalidInput("A key with the scope admin is for all collections; leave them out.")
    if new.expires_in_days > max_days:
        raise InvalidInput(
            f"expires_in_days is {new.expires_in_days}; at most {max_days} is right."
        )


def _told(key: keys.Key) -> dict[str, object]:
    return {
        "id": str(key.id),
        "name": key.name,
        "scopes": key.scopes,
        "collections": key.collections,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
    }

"""/auth/access and /auth/collections: who may do what in a collection."""

import asyncpg
from fastapi import APIRouter, Response
from pydantic import BaseModel

from hsis.contracts.access import Access, Caller, Role
from hsis.errors import InvalidInput
from hsis.service.postgres import Connection, autocommit, transaction
from hsis_catalog.access import access_of, require_role
from hsis_catalog.callers import AnyCaller, KnownCaller
from hsis_catalog.errors import LastOwner
from hsis_catalog.repository import collections, grants, users
from hsis_catalog.state import CatalogState

router = APIRouter(prefix="/auth", tags=["access"])


class Grant(BaseModel):
    """A user's role in a collection."""

    user: str
    role: Role


class GrantList(BaseModel):
    """Who may do what in a collection, by user name."""

    public: bool
    grants: list[Grant]


class Publicity(BaseModel):
    """Whether everyone may read."""

    public: bool


@router.get("/access/{collection}")
async def access(state: CatalogState, caller: AnyCaller, collection: str) -> Access:
    """What the caller may do in the collection; role null where it may not know of it."""
    async with autocommit(state.pool) as connection:
        return await access_of(connection, caller, collection)


@router.get("/collections/{collection}/grants")
async def list_grants(state: CatalogState, caller: KnownCaller, collection: str) -> GrantList:
    """The roles of all users. For owners."""
    async with autocommit(state.pool) as connection:
        await require_role(connection, caller, collection, Role.OWNER)
        return await _grants(connection, collection)


@router.put("/collections/{collection}/grants")
async def put_grant(
    state: CatalogState, caller: KnownCaller, collection: str, grant: Grant
) -> GrantList:
    """Give a user a role instead of any before. For owners."""
    async with transaction(state.pool) as connection:
        await require_role(connection, caller, collection, Role.OWNER)
        user = await _user(connection, grant.user)
        if grant.role is not Role.OWNER:
            await _keep_an_owner(connection, caller, collection, user)
        try:
            await grants.put(connection, collection, user.id, grant.role)
        except asyncpg.ForeignKeyViolationError:
            raise InvalidInput(f"User {grant.user!r} or the collection has just gone.") from None
        return await _grants(connection, collection)


@router.delete("/collections/{collection}/grants", status_code=204)
async def delete_grant(
    state: CatalogState, caller: KnownCaller, collection: str, user: str
) -> Response:
    """Take a user's role away; `user` is the name. For owners."""
    async with transaction(state.pool) as connection:
        await require_role(connection, caller, collection, Role.OWNER)
        found = await _user(connection, user)
        await _keep_an_owner(connection, caller, collection, found)
        await grants.delete(connection, collection, found.id)
    return Response(status_code=204)


@router.put("/collections/{collection}/public")
async def set_public(
    state: CatalogState, caller: KnownCaller, collection: str, publicity: Publicity
) -> Publicity:
    """Let everyone read the collection, or only those with a role. For owners."""
    async with autocommit(state.pool) as connection:
        await require_role(connection, caller, collection, Role.OWNER)
        await collections.set_public(connection, collection, publicity.public)
    return publicity


async def _user(connection: Connection, name: str) -> users.User:
    user = await users.by_name(connection, name)
    if user is None:
        raise InvalidInput(f"There is no user {name!r}.")
    return user


async def _keep_an_owner(
    connection: Connection, caller: Caller, collection: str, user: users.User
) -> None:
    if caller.is_admin or await grants.has_other_owner(connection, collection, user.id):
        return
    owners = [
        name
        for name, role in await grants.of_collection(connection, collection)
        if role is Role.OWNER
    ]
    if user.name in owners:
        raise LastOwner(f"{user.name!r} is the only owner; make someone else owner first.")


async def _grants(connection: Connection, collection: str) -> GrantList:
    found = await grants.of_collection(connection, collection)
    standing = await grants.standing(connection, collection, None)
    return GrantList(
        public=standing is not None and standing.public,
        grants=[Grant(user=name, role=role) for name, role in found],
    )

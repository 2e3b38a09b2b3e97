"""/auth/users, for administrators."""

from datetime import datetime

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from hsis.errors import Conflict, NotFound
from hsis.service.postgres import autocommit
from hsis_catalog.callers import KnownCaller
from hsis_catalog.repository import users
from hsis_catalog.state import CatalogState

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,127}$"
router = APIRouter(prefix="/auth/users", tags=["access"])


class NewUser(BaseModel):
    """A user to create."""

    name: str = Field(pattern=NAME_PATTERN)
    password: str = Field(min_length=8, max_length=1024)
    admin: bool = False


class UserAnswer(BaseModel):
    """A user without the password's hash."""

    id: str
    name: str
    admin: bool
    created_at: datetime


class UserList(BaseModel):
    """All users by name."""

    users: list[UserAnswer]


@router.get("")
async def list_users(state: CatalogState, caller: KnownCaller) -> UserList:
    """Every user."""
    caller.require_admin()
    async with autocommit(state.pool) as connection:
        return UserList(users=[_answer(user) for user in await users.every(connection)])


@router.post("", status_code=201)
async def create_user(state: CatalogState, caller: KnownCaller, new: NewUser) -> UserAnswer:
    """Create a user; Conflict when the name is taken."""
    caller.require_admin()
    encoded = await state.passwords.hash(new.password)
    async with autocommit(state.pool) as connection:
        user = await users.create(connection, new.name, encoded, new.admin)
    if user is None:
        raise Conflict(f"There is a user {new.name!r} already.")
    return _answer(user)


@router.delete("/{name}", status_code=204)
async def delete_user(state: CatalogState, caller: KnownCaller, name: str) -> Response:
    """Remove a user; its tokens, keys and grants end at once. Nobody can remove oneself."""
    caller.require_admin()
    if name == caller.name:
        raise Conflict("You cannot remove yourself; let another administrator do it.")
    async with autocommit(state.pool) as connection:
        if not await users.delete(connection, name):
            raise NotFound(f"There is no user {name!r}.")
    return Response(status_code=204)


def _answer(user: users.User) -> UserAnswer:
    return UserAnswer(
        id=str(user.id), name=user.name, admin=user.is_admin, created_at=user.created_at
    )

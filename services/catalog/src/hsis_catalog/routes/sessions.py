"""/auth: logging in and out, and who one is."""

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from pydantic import BaseModel

from hsis.contracts.access import TokenAnswer
from hsis.errors import InvalidInput
from hsis.service.tokens import COOKIE, token_of
from hsis.service.urls import public_origin
from hsis_catalog.callers import KnownCaller
from hsis_catalog.login import log_in_service, log_in_user
from hsis_catalog.state import CatalogState, State

router = APIRouter(prefix="/auth", tags=["access"])


class Credentials(BaseModel):
    """What a login page sends."""

    username: str
    password: str


class Me(BaseModel):
    """The caller as catalog sees it."""

    id: str
    name: str
    admin: bool
    scopes: list[str]
    collections: list[str] | None
    key: str | None


@router.post("/token")
async def token(
    state: CatalogState,
    response: Response,
    grant_type: Annotated[str, Form()] = "password",
    username: Annotated[str, Form()] = "",
    password: Annotated[str, Form()] = "",
    client_id: Annotated[str, Form()] = "",
    client_secret: Annotated[str, Form()] = "",
) -> TokenAnswer:
    """A token by OAuth2: a user's by the password form, a service's by client credentials."""
    response.headers["Cache-Control"] = "no-store"
    if grant_type == "client_credentials":
        return log_in_service(
            state.attempts, state.signer, state.settings, client_id, client_secret
        )
    if grant_type != "password":
        raise InvalidInput(
            f"grant_type is {grant_type!r}; password and client_credentials are right."
        )
    if not username or not password:
        raise InvalidInput("The form needs username and password.")
    return await _log_in(state, username, password)


@router.post("/session", status_code=204)
async def open_session(request: Request, state: CatalogState, credentials: Credentials) -> Response:
    """Log a browser in: username and password as JSON; the token becomes a cookie.

    A form is not taken: a page of another origin could send it, and so log its visitor in as
    somebody else.
    """
    answer = await _log_in(state, credentials.username, credentials.password)
    response = Response(status_code=204)
    response.set_cookie(
        COOKIE,
        answer.access_token,
        max_age=answer.expires_in,
        httponly=True,
        samesite="strict",
        secure=public_origin(request, state.settings).startswith("https:"),
        path="/",
    )
    return response


@router.delete("/session", status_code=204)
async def close_session(request: Request) -> Response:
    """Log a browser out, also where its token has expired."""
    token_of(request)  # another origin's page cannot log anyone out
    response = Response(status_code=204)
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
    return response


@router.get("/me")
async def me(caller: KnownCaller) -> Me:
    """Who the caller is."""
    return Me(
        id=caller.subject,
        name=caller.name,
        admin=caller.is_admin,
        scopes=sorted(caller.scopes),
        collections=None if caller.collections is None else sorted(caller.collections),
        key=caller.key_id,
    )


async def _log_in(state: State, name: str, password: str) -> TokenAnswer:
    return await log_in_user(
        state.pool, state.passwords, state.attempts, state.signer, state.settings, name, password
    )

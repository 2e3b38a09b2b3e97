"""What the typed clients share: one request with its errors translated and safe ones retried."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import httpx
from pydantic import ValidationError

from hsis.errors import (
    TYPE_PREFIX,
    Conflict,
    DomainError,
    Forbidden,
    InvalidInput,
    NotFound,
    Problem,
    TooLarge,
    Unauthenticated,
    Unavailable,
)

RETRY_STATUSES = frozenset({429, 502, 503, 504})
RETRY_DELAYS_S = (0.1, 0.4, 1.5)
PATIENT_DELAY_S = 1.0
OUTAGE_S = 300.0
"""How long one who waits for an end that comes by itself bears a callee that is away."""
T = TypeVar("T")
_IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE"})
_ERRORS: dict[int, type[DomainError]] = {
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    412: Conflict,
    413: TooLarge,
}


def error_of(response: httpx.Response) -> DomainError:
    """The typed error for an answer of status 300 or more (its body must have been read).

    A redirection is an error: what was asked for was not done. The problem document, where the
    callee sent one, is kept as `error.problem`. The error forms of STAC and of the Open Inference
    Protocol are read too.
    """
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError:
        problem = Problem(status=response.status_code, detail=response.reason_phrase)
    if not problem.detail:
        more = problem.model_extra or {}
        problem.detail = str(more.get("description") or more.get("error") or "")
        if isinstance(more.get("code"), str):
            problem.type = TYPE_PREFIX + more["code"]
    status = problem.status = response.status_code
    if status < 400:
        error: DomainError = InvalidInput(
            f"{response.request.method} {response.request.url.path} is redirected to "
            f"{response.headers.get('Location', 'nowhere')}; the URL that HSIS itself has is right."
        )
    elif status >= 500:
        error = Unavailable(
            f"{response.request.method} {response.request.url.path} answered {status}: "
            f"{problem.detail}"
        )
    else:
        error = _ERRORS.get(status, InvalidInput)(problem.detail or response.reason_phrase)
    error.problem = problem  # type: ignore[attr-defined]
    return error


def problem_of(error: DomainError) -> Problem | None:
    """The problem document that a client's error came with, if any."""
    problem = getattr(error, "problem", None)
    return problem if isinstance(problem, Problem) else None


async def patiently(call: Callable[[], Awaitable[T]], patience_s: float) -> T:
    """What `call` answers; it is made again while the callee is away, for `patience_s` at most."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience_s
    while True:
        try:
            return await call()
        except Unavailable:
            if loop.time() >= deadline:
                raise
            await asyncio.sleep(PATIENT_DELAY_S)


class BaseClient:
    """A typed client of one service. It owns no connection: the caller closes the HTTP client."""

    def __init__(self, http: httpx.AsyncClient, base_url: str) -> None:
        self._http = http
        self._base_url = base_url.rstrip("/")

    async def _request(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool = False,
        **arguments: Any,
    ) -> httpx.Response:
        """The answer, read whole. Idempotent requests, and `repeatable` ones, are tried again when
        the callee is away, unless the body is an iterator, which could not be sent twice.

        Raises the domain error for any status of 300 or more, Unavailable when nothing answered.
        """
        delays: tuple[float | None, ...] = (None,)
        repeatable = repeatable or method in _IDEMPOTENT
        if repeatable and not hasattr(arguments.get("content"), "__anext__"):
            delays = (*RETRY_DELAYS_S, None)
        for delay in delays:
            try:
                response = await self._http.request(
                    method,
                    self._base_url + path,
                    headers={**(headers or {}), **_bearer(token)},
                    **arguments,
                )
            except httpx.TransportError as error:
                if delay is None:
                    raise _unreachable(method, path, error) from error
            else:
                # httpx ties an answer and its stream together in a cycle: without this, bodies of
                # megabytes, the request's too, would stay until the garbage collector comes.
                del response.stream
                if response.status_code < 300:
                    return response
                if delay is None or response.status_code not in RETRY_STATUSES:
                    raise error_of(response)
            await asyncio.sleep(delay)
        raise AssertionError("the last round returns or raises")

    @asynccontextmanager
    async def _stream(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        **arguments: Any,
    ) -> AsyncIterator[httpx.Response]:
        """The answer with its body still to be read; errors as in `_request`, never retried."""
        try:
            async with self._http.stream(
                method,
                self._base_url + path,
                headers={**(headers or {}), **_bearer(token)},
                **arguments,
            ) as response:
                if response.status_code >= 300:
                    await response.aread()
                    raise error_of(response)
                yield response
        except httpx.TransportError as error:
            raise _unreachable(method, path, error) from error


def _bearer(token: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


def _unreachable(method: str, path: str, error: Exception) -> Unavailable:
    return Unavailable(f"{method} {path} got no answer ({type(error).__name__}).")

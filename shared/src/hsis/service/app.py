"""What every service's FastAPI application has: problems, request ids, logs, health, metrics."""

import logging
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
)
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hsis.errors import (
    COMMON_PROBLEMS,
    DomainError,
    InvalidInput,
    Problem,
    ProblemTable,
    ProblemType,
    TooLarge,
    fault_told,
    problem_type,
)
from hsis.service.bodies import BodyLimit, LimitBodies
from hsis.service.logs import REQUEST_ID_HEADER, configure_logging, new_request_id, request_id
from hsis.service.settings import ServiceSettings
from hsis.service.tokens import TokenVerifier

logger = logging.getLogger(__name__)

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[Mapping[str, Any]]]
Check = Callable[[Request], Awaitable[None]]
ProblemRenderer = Callable[[Request, Problem], Response]

PROBLEM_MEDIA_TYPE = "application/problem+json"
_GIVEN_ID = re.compile(r"^[A-Za-z0-9._-]{8,64}$")
_INTERNAL = ProblemType(500, "internal", "Something failed inside")
RETRY_AFTER_S = 2


def render_problem(_: Request, problem: Problem) -> Response:
    """The default form of an error: application/problem+json."""
    return JSONResponse(
        problem.model_dump(exclude_none=True),
        status_code=problem.status,
        media_type=PROBLEM_MEDIA_TYPE,
    )


def create_service_app(
    *,
    name: str,
    title: str,
    settings: ServiceSettings,
    lifespan: Lifespan,
    openapi_url: str,
    problems: ProblemTable | None = None,
    checks: Mapping[str, Check] | None = None,
    render: ProblemRenderer = render_problem,
    body_limit: BodyLimit | None = None,
) -> FastAPI:
    """A FastAPI application with everything that the services have in common.

    `problems` maps the service's own errors (the common ones are in); `checks` are the readiness
    checks by name, each raising when its part does not answer; `render` gives errors another form
    where a protocol asks for one; `body_limit` is for bodies that are read whole. The verifier of
    tokens is `app.state.token_verifier`.
    """
    configure_logging(name, settings.log_level, settings.log_format)
    app = FastAPI(title=title, lifespan=lifespan, openapi_url=openapi_url, docs_url=None)
    app.state.token_verifier = TokenVerifier(settings.token_public_key)
    app.state.problems = {**COMMON_PROBLEMS, **(problems or {})}
    app.state.render_problem = render
    app.add_exception_handler(DomainError, _on_domain_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(Exception, _on_unexpected)
    registry = CollectorRegistry()
    app.state.metrics_registry = registry
    _add_health(app, checks or {}, registry)
    if body_limit is not None:
        app.add_middleware(LimitBodies, limit=body_limit, refuse=_too_large)
    app.add_middleware(RequestScope, registry=registry)
    return app


def add_routes(app: FastAPI, *routers: APIRouter) -> None:
    """Answer what the routers answer, the first that fits, by routes of the application itself.

    `include_router` looks through a router's routes twice for each request, and not at all cheaply.
    """
    for router in routers:
        app.router.routes.extend(router.routes)


def _add_health(app: FastAPI, checks: Mapping[str, Check], registry: CollectorRegistry) -> None:
    @app.get("/livez", include_in_schema=False)
    async def livez() -> PlainTextResponse:
        return PlainTextResponse("ok")

    @app.get("/readyz", include_in_schema=False)
    async def readyz(request: Request) -> JSONResponse:
        answers: dict[str, str] = {}
        for part, check in checks.items():
            try:
                await check(request)
            except DomainError as error:
                answers[part] = error.detail
            else:
                answers[part] = "ok"
        ready = all(answer == "ok" for answer in answers.values())
        status = "ready" if ready else "not ready"
        return JSONResponse({"status": status, "checks": answers}, 200 if ready else 503)

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


def _answer(request: Request, problem: Problem) -> Response:
    told = problem.model_copy(update={"instance": request.url.path, "request_id": request_id.get()})
    render: ProblemRenderer = request.app.state.render_problem
    response = render(request, told)
    if problem.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    if problem.status == 503:
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return response


def _too_large(request: Request, detail: str) -> Response:
    return _answer(request, Problem.of(COMMON_PROBLEMS[TooLarge], detail))


async def _on_domain_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, DomainError)
    kind = problem_type(request.app.state.problems, error)
    if kind.status >= 500:
        logger.warning("answering %s: %s", kind.status, error.detail, exc_info=error.__cause__)
    return _answer(request, Problem.of(kind, error.detail))


async def _on_validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    faults = [
        f"{'.'.join(str(part) for part in fault['loc'])}: {fault_told(fault)}"
        for fault in error.errors()
    ]
    return _answer(request, Problem.of(COMMON_PROBLEMS[InvalidInput], "; ".join(faults)))


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    slug = {404: "not-found", 405: "method-not-allowed"}.get(error.status_code, "http-error")
    kind = ProblemType(error.status_code, slug, str(error.detail))
    response = _answer(request, Problem.of(kind, f"{request.method} {request.url.path}"))
    for header, value in (error.headers or {}).items():
        response.headers[header] = value
    return response


async def _on_unexpected(request: Request, error: Exception) -> Response:
    logger.error("unexpected error", exc_info=error)
    return _answer(
        request,
        Problem.of(_INTERNAL, "An unexpected error; the request id finds it in the logs."),
    )


class RequestScope:
    """ASGI middleware: takes or makes the request id, answers it, logs and counts the request."""

    def __init__(self, app: ASGIApp, registry: CollectorRegistry) -> None:
        self._app = app
        labels = ["method", "route", "status"]
        self._count = Counter("hsis_requests_total", "Requests answered", labels, registry=registry)
        self._seconds = Histogram(
            "hsis_request_seconds", "Time to the end of the answer", labels[:2], registry=registry
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wrap one HTTP request; everything else passes through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        given = headers.get(REQUEST_ID_HEADER.lower().encode(), b"").decode("latin-1")
        current = given if _GIVEN_ID.match(given) else new_request_id()
        mark = request_id.set(current)
        started = time.perf_counter()
        status = 500

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message["headers"],
                    (REQUEST_ID_HEADER.lower().encode(), current.encode()),
                ]
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        finally:
            self._record(scope, status, time.perf_counter() - started)
            request_id.reset(mark)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "unmatched")
        method = scope["method"]
        self._count.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)
        if route not in {"/livez", "/readyz", "/metrics"}:
            logger.info(
                "request",
                extra={
                    "method": method,
                    "path": scope["path"],
                    "status": status,
                    "ms": round(seconds * 1000, 2),
                },
            )

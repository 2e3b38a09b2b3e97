"""The application: `uvicorn --factory hsis_catalog.app:create_app`."""

import logging
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import asyncpg
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from hsis.errors import Problem
from hsis.service.app import add_routes, create_service_app, render_problem
from hsis.service.bodies import BodyLimit
from hsis.service.postgres import autocommit, check_postgres, migrate, open_pool
from hsis_catalog.errors import PROBLEMS
from hsis_catalog.login import Attempts
from hsis_catalog.passwords import Passwords
from hsis_catalog.repository import users
from hsis_catalog.routes import (
    keys,
    quotas,
    reservations,
    sessions,
    sharing,
    spectra,
    stac_collections,
    stac_items,
    stac_root,
    templates,
    trash,
)
from hsis_catalog.routes import users as users_routes
from hsis_catalog.settings import Settings
from hsis_catalog.signing import TokenSigner
from hsis_catalog.state import State

logger = logging.getLogger(__name__)

SCHEMA = "catalog"
FIRST_USER = "admin"


def create_app(settings: Settings | None = None) -> FastAPI:
    """The catalog service; settings come from the environment when not given."""
    chosen = settings or Settings()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[Mapping[str, Any]]:
        if chosen.migrate_at_start:
            await migrate(chosen, SCHEMA, "hsis_catalog")
        async with AsyncExitStack() as stack:
            pool = await stack.enter_async_context(open_pool(chosen, SCHEMA))
            executor = stack.enter_context(ThreadPoolExecutor(chosen.hashing_threads, "hash"))
            passwords = await Passwords.create(
                executor, chosen.password_memory_kib, chosen.password_passes
            )
            await make_first_user(pool, passwords, chosen)
            attempts = Attempts(chosen.login_failures_max, chosen.login_window_s)
            signer = TokenSigner(chosen.token_private_key.get_secret_value())
            yield {"state": State(chosen, pool, signer, passwords, attempts)}

    app = create_service_app(
        name="catalog",
        title="HSIS catalog: STAC, access and the spectral library",
        settings=chosen,
        lifespan=lifespan,
        openapi_url="/stac/openapi.json",
        problems=PROBLEMS,
        checks={"postgres": check_postgres},
        render=render_by_path,
        body_limit=BodyLimit(chosen.max_document_bytes, "HSIS_MAX_DOCUMENT_BYTES"),
    )
    add_routes(
        app,
        stac_root.router,
        stac_collections.router,
        stac_items.router,
        trash.router,
        quotas.router,
        reservations.router,
        sessions.router,
        users_routes.router,
        keys.router,
        sharing.router,
        spectra.router,
        templates.router,
    )
    return app


async def make_first_user(pool: asyncpg.Pool, passwords: Passwords, settings: Settings) -> None:
    """Make the administrator `admin` where there is none; one that exists is left as it is."""
    async with autocommit(pool) as connection:
        if await users.by_name(connection, FIRST_USER) is not None:
            return
    encoded = await passwords.hash(settings.admin_password.get_secret_value())
    async with autocommit(pool) as connection:
        if await users.create(connection, FIRST_USER, encoded, admin=True):
            logger.info("first user made", extra={"user": FIRST_USER})


def render_by_path(request: Request, problem: Problem) -> Response:
    """An error in STAC's form (`code`, `description`) below /stac, else as problem+json."""
    path = request.url.path
    if path != "/stac" and not path.startswith("/stac/"):
        return render_problem(request, problem)
    body = {"code": problem.slug, "description": problem.detail, "request_id": problem.request_id}
    return JSONResponse(body, problem.status)

"""The application: `uvicorn --factory hsis_tiles.app:create_app`."""

import asyncio
import threading
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
from fastapi import FastAPI, Request

from hsis.clients.catalog import CatalogClient
from hsis.clients.storage import StorageClient
from hsis.errors import Unavailable
from hsis.service.app import Check, add_routes, create_service_app
from hsis.service.http import ServiceAuth, open_http
from hsis_tiles import exporting
from hsis_tiles.cubes import OpenCubes
from hsis_tiles.errors import PROBLEMS
from hsis_tiles.export.export import Limits
from hsis_tiles.routes import router
from hsis_tiles.settings import Settings
from hsis_tiles.state import State

PING_TIMEOUT_S = 2.0


def create_app(settings: Settings | None = None) -> FastAPI:
    """The tiles service; settings come from the environment when not given."""
    chosen = settings or Settings()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[Mapping[str, Any]]:
        async with AsyncExitStack() as stack:
            plain = await stack.enter_async_context(open_http(chosen))
            own = await stack.enter_async_context(open_http(chosen, ServiceAuth("tiles", chosen)))
            executor = stack.enter_context(ThreadPoolExecutor(chosen.reader_threads))
            storage = StorageClient(own, chosen.storage_proxy_url)
            cubes = OpenCubes(
                # Without authentication of its own: catalog answers what the caller may see.
                CatalogClient(plain, chosen.catalog_url),
                storage,
                executor,
                max_cubes=chosen.cached_cubes,
                max_bytes=chosen.cached_bytes,
                access_cache_s=chosen.access_cache_s,
            )
            previews = asyncio.Semaphore(chosen.concurrent_previews)
            yield {
                "state": State(
                    cubes,
                    executor,
                    previews,
                    chosen.max_preview_pixels,
                    plain,
                    storage,
                    threading.Semaphore(chosen.concurrent_exports),
                    stack.enter_context(ThreadPoolExecutor(chosen.export_threads)),
                    Limits(chosen.export_max_bytes, chosen.export_memory_bytes),
                    chosen.export_idle_s,
                )
            }

    app = create_service_app(
        name="tiles",
        title="HSIS cubes: spectra, pictures, statistics and exports",
        settings=chosen,
        lifespan=lifespan,
        openapi_url="/cubes/openapi.json",
        problems=PROBLEMS,
        checks={
            "catalog": _ping("catalog", chosen.catalog_url),
            "storage-proxy": _ping("storage-proxy", chosen.storage_proxy_url),
        },
    )
    add_routes(app, router, exporting.router)
    return app


def _ping(name: str, url: str) -> Check:
    async def check(request: Request) -> None:
        state: State = request.state.state
        try:
            response = await state.http.get(f"{url}/livez", timeout=PING_TIMEOUT_S)
            response.raise_for_status()
        except httpx.HTTPError as error:
            raise Unavailable(f"{name} does not answer.") from error

    return check

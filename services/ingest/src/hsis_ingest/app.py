"""The application: `uvicorn --factory hsis_ingest.app:create_app`."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import httpx
from fastapi import FastAPI, Request

from hsis.clients.catalog import CatalogClient
from hsis.clients.storage import StorageClient
from hsis.errors import Unavailable
from hsis.service.access import CollectionAccess
from hsis.service.app import add_routes, create_service_app
from hsis.service.bodies import BodyLimit
from hsis.service.http import ServiceAuth, open_http
from hsis.service.postgres import migrate, open_pool, ping
from hsis_ingest import correction_routes, forms, ingest_routes, transfers, tus
from hsis_ingest.allocation import give_back_large_blocks
from hsis_ingest.errors import PROBLEMS
from hsis_ingest.fetching import Fetcher
from hsis_ingest.label_routes import router as labels
from hsis_ingest.maintenance_routes import router as maintenance
from hsis_ingest.routes import router
from hsis_ingest.settings import Settings
from hsis_ingest.state import State, state_of
from hsis_ingest.worker import Worker

SCHEMA = "ingest"
PING_TIMEOUT_S = 2.0


def create_app(settings: Settings | None = None) -> FastAPI:
    """The ingest service; settings come from the environment when not given."""
    chosen = settings or Settings()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[Mapping[str, Any]]:
        async with AsyncExitStack() as stack:
            if chosen.migrate_at_start:
                await migrate(chosen, SCHEMA, "hsis_ingest")
            state = await _open(chosen, stack)
            if chosen.worker_enabled:
                await _start_worker(state, stack)
            yield {"state": state}

    app = create_service_app(
        name="ingest",
        title="HSIS ingest: uploads and their conversion",
        settings=chosen,
        lifespan=lifespan,
        openapi_url="/ingest/openapi.json",
        problems=PROBLEMS,
        checks={"postgres": _check_postgres, "storage": _check_storage},
        body_limit=BodyLimit(
            chosen.max_document_bytes,
            "HSIS_MAX_DOCUMENT_BYTES",
            streamed=frozenset({"PUT"}),
            streams=lambda scope: tus.streams(scope) or forms.streams(scope),
        ),
    )
    app.add_middleware(tus.TusHeaders)
    add_routes(
        app,
        tus.creation,  # first: it looks at the headers too
        tus.router,
        forms.router,
        router,
        ingest_routes.router,
        maintenance,
        labels,
        correction_routes.router,
    )
    return app


async def _open(settings: Settings, stack: AsyncExitStack) -> State:
    pool = await stack.enter_async_context(open_pool(settings, SCHEMA))
    plain = await stack.enter_async_context(open_http(settings))
    own = await stack.enter_async_context(open_http(settings, ServiceAuth("ingest", settings)))
    catalog = CatalogClient(plain, settings.catalog_url)
    return State(
        settings=settings,
        pool=pool,
        http=own,
        catalog=catalog,
        storage=StorageClient(own, settings.storage_proxy_url),
        access=CollectionAccess(catalog, settings.access_cache_s),
        queue_filled=asyncio.Event(),
        forms=asyncio.Semaphore(settings.concurrent_forms),
        scrubs=asyncio.Semaphore(settings.concurrent_scrubs),
    )


async def _start_worker(state: State, stack: AsyncExitStack) -> None:
    settings = state.settings
    give_back_large_blocks()
    # One thread more than encoders: the next window is read while they work.
    executor = ThreadPoolExecutor(settings.conversion_threads + 1, "conversion")
    # In a thread, since what is still read there waits for this event loop.
    stack.push_async_callback(asyncio.to_thread, executor.shutdown)
    worker = Worker(
        settings,
        state.pool,
        state.storage,
        CatalogClient(state.http, settings.catalog_url),
        executor,
        state.queue_filled,
        partial(_complete_begun, state),
    )
    for name, work in (("worker", worker.run()), ("fetcher", Fetcher(state).run())):
        stack.push_async_callback(_stop, asyncio.create_task(work, name=name))


async def _complete_begun(state: State) -> None:
    await transfers.complete_forgotten(state)
    await state.corrector.finish_open()


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})


async def _check_postgres(request: Request) -> None:
    await ping(state_of(request).pool)


async def _check_storage(request: Request) -> None:
    state = state_of(request)
    try:
        response = await state.http.get(
            f"{state.settings.storage_proxy_url}/livez", timeout=PING_TIMEOUT_S, auth=None
        )
        response.raise_for_status()
    except httpx.HTTPError as error:
        raise Unavailable("storage-proxy does not answer.") from error

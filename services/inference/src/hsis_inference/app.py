"""The application: `uvicorn --factory hsis_inference.app:create_app`."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

from fastapi import FastAPI, Request

from hsis.clients.catalog import CatalogClient
from hsis.clients.storage import StorageClient
from hsis.errors import DomainError
from hsis.service.access import CollectionAccess
from hsis.service.app import add_routes, create_service_app
from hsis.service.bodies import BodyLimit
from hsis.service.http import ServiceAuth, open_http
from hsis.service.postgres import check_postgres, migrate, open_pool
from hsis_inference.device import Device, load_device
from hsis_inference.errors import PROBLEMS, DeviceNotReady
from hsis_inference.execution import Execution
from hsis_inference.routes import jobs, processes
from hsis_inference.settings import Settings
from hsis_inference.state import State
from hsis_inference.steps import Steps
from hsis_inference.worker import Worker

logger = logging.getLogger(__name__)

SCHEMA = "inference"
THREADS_PER_BLOCK = 2
"""One computes while others decompress."""


def create_app(settings: Settings | None = None) -> FastAPI:
    """The inference service; settings come from the environment when not given."""
    chosen = settings or Settings()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[Mapping[str, Any]]:
        if chosen.migrate_at_start:
            await migrate(chosen, SCHEMA, "hsis_inference")
        async with AsyncExitStack() as stack:
            pool = await stack.enter_async_context(open_pool(chosen, SCHEMA))
            plain = await stack.enter_async_context(open_http(chosen))
            own = await stack.enter_async_context(
                open_http(chosen, ServiceAuth("inference", chosen))
            )
            threads = 1 + THREADS_PER_BLOCK * chosen.worker_concurrency
            executor = stack.enter_context(ThreadPoolExecutor(threads, "compute"))
            catalog = CatalogClient(plain, chosen.catalog_url)
            own_catalog = CatalogClient(own, chosen.catalog_url)
            storage = StorageClient(own, chosen.storage_proxy_url)
            access = CollectionAccess(catalog, chosen.access_cache_s)
            # torch takes seconds to import: HTTP is up before it is there.
            device = asyncio.create_task(_loaded(chosen))
            stack.push_async_callback(_ended, device)
            if chosen.worker_enabled:
                steps = Steps(pool, own_catalog, storage, executor)
                worker = Worker(chosen, pool, steps)
                running = asyncio.create_task(_work(worker, device))
                stack.push_async_callback(_ended, running)
            execution = Execution(pool, access, catalog, own_catalog, storage)
            yield {"state": State(chosen, pool, access, catalog, execution, device)}

    app = create_service_app(
        name="inference",
        title="HSIS processing: processes over cubes, as jobs",
        settings=chosen,
        lifespan=lifespan,
        openapi_url="/processing/openapi.json",
        problems=PROBLEMS,
        checks={"postgres": check_postgres, "device": _check_device},
        body_limit=BodyLimit(chosen.max_execution_bytes, "HSIS_MAX_EXECUTION_BYTES"),
    )
    add_routes(app, processes.router, jobs.router)
    return app


async def _loaded(settings: Settings) -> Device:
    """The device; DeviceNotReady, with the reason in the log, where it cannot be used."""
    try:
        device = await asyncio.to_thread(load_device, settings.device, settings.gpu_lock_dir)
    except DeviceNotReady as error:
        logger.error("nothing computes here: %s", error.detail, exc_info=error.__cause__)
        raise
    except Exception as error:
        logger.exception("nothing computes here")
        raise DeviceNotReady("The device cannot be used; the log says why.") from error
    logger.info("computing", extra={"device": device.label, "torch": device.version})
    return device


async def _work(worker: Worker, device: asyncio.Task[Device]) -> None:
    with suppress(DeviceNotReady):
        await worker.run(await asyncio.shield(device))


async def _ended(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait for its end. What failed in it was logged where it failed."""
    task.cancel()
    with suppress(asyncio.CancelledError, DomainError):
        await task


async def _check_device(request: Request) -> None:
    state: State = request.state.state
    if not state.device.done():
        raise DeviceNotReady("torch is still being loaded.")
    state.device.result()

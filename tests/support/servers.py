"""Serving an ASGI application on a real socket inside the test's event loop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn

from hsis_embedded.readiness import free_port


@asynccontextmanager
async def served(app: Any, port: int | None = None) -> AsyncIterator[str]:
    """The base URL of the application while it runs, its lifespan included."""
    port = port or free_port()
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=port,
        lifespan="on",
        log_config=None,
        ws="none",
        timeout_graceful_shutdown=2,
    )
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    task = asyncio.create_task(server._serve())
    try:
        while not server.started:
            if task.done():
                await task
                raise RuntimeError("the application did not start")
            await asyncio.sleep(0.01)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task

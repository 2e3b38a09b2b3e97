"""Serving an ASGI application on a real socket inside the test's event loop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
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


async def ready(http: httpx.AsyncClient, service_url: str = "") -> dict[str, str]:
    """What a service says of its checks once all are fine: on a busy machine one may take longer
    than the two seconds that it is given."""
    async with asyncio.timeout(60):
        while (answer := await http.get(f"{service_url}/readyz")).status_code != 200:
            await asyncio.sleep(0.1)
    assert answer.json()["status"] == "ready"
    checks: dict[str, str] = answer.json()["checks"]
    return checks

"""The application: `uvicorn --factory hsis_web.app:create_app`."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from hsis.service.app import add_routes, create_service_app
from hsis_web.headers import PageHeaders
from hsis_web.pages import pages_router
from hsis_web.settings import Settings

STATIC = Path(__file__).parent / "static"
ASSETS = {
    "bootstrap": "bootstrap/dist",
    "bootstrap-icons": "bootstrap-icons/font",
    "swagger-ui": "swagger-ui-dist",
    "tus-js-client": "tus-js-client/dist",
}
"""Folders of node_modules by the name below /assets/ that the pages know them by."""


def create_app(settings: Settings | None = None) -> FastAPI:
    """The web service; settings come from the environment when not given.

    FileNotFoundError where the assets are not installed.
    """
    chosen = settings or Settings()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[Mapping[str, Any]]:
        yield {}

    app = create_service_app(
        name="web",
        title="HSIS pages",
        settings=chosen,
        lifespan=lifespan,
        openapi_url="/web/openapi.json",
    )
    add_routes(app, pages_router())
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    for name, folder in ASSETS.items():
        found = chosen.node_modules_dir / folder
        if not found.is_dir():
            raise FileNotFoundError(
                f"{found} is missing: run `npm ci` in services/web, or let HSIS_NODE_MODULES_DIR "
                "name the node_modules folder."
            )
        app.mount(f"/assets/{name}", StaticFiles(directory=found), name=name)
    app.add_middleware(PageHeaders)
    return app

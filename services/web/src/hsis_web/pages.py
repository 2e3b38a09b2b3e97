"""The pages: templates filled with nothing but names from the URL."""

from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi import Path as PathParameter
from fastapi.responses import HTMLResponse
from fastapi.templating import Jinja2Templates

from hsis.contracts.ids import ID_PATTERN

TEMPLATES = Path(__file__).parent / "templates"
OPENAPI_URLS = {
    "Catalog": "/stac/openapi.json",
    "Uploads": "/ingest/openapi.json",
    "Blobs": "/blobs/openapi.json",
    "Cubes": "/cubes/openapi.json",
    "Processing": "/processing/openapi.json",
}

Collection = Annotated[str, PathParameter(pattern=ID_PATTERN)]
Item = Annotated[str, PathParameter(pattern=ID_PATTERN)]


def pages_router() -> APIRouter:
    """The routes of all pages."""
    router = APIRouter(default_response_class=HTMLResponse, include_in_schema=False)
    templates = Jinja2Templates(TEMPLATES)

    def page(request: Request, name: str, **context: Any) -> HTMLResponse:
        return templates.TemplateResponse(request, f"{name}.html", context)

    @router.get("/")
    async def home(request: Request) -> HTMLResponse:
        return page(request, "home")

    @router.get("/login")
    async def login(request: Request) -> HTMLResponse:
        return page(request, "login")

    @router.get("/upload")
    async def upload(request: Request) -> HTMLResponse:
        return page(request, "upload")

    @router.get("/collections/{collection}")
    async def collection(request: Request, collection: Collection) -> HTMLResponse:
        return page(request, "collection", collection=collection)

    @router.get("/items/{collection}/{item}")
    async def item(request: Request, collection: Collection, item: Item) -> HTMLResponse:
        return page(request, "item", collection=collection, item=item)

    @router.get("/docs")
    async def docs(request: Request) -> HTMLResponse:
        return page(request, "docs", openapi_urls=OPENAPI_URLS)

    return router

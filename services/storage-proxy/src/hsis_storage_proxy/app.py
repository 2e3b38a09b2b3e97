"""The application: `uvicorn --factory hsis_storage_proxy.app:create_app`."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, cast

from fastapi import FastAPI, Request, Response

from hsis.clients.catalog import CatalogClient
from hsis.errors import DomainError, Unavailable
from hsis.service.access import CollectionAccess
from hsis.service.app import RETRY_AFTER_S, add_routes, create_service_app
from hsis.service.http import open_http
from hsis_storage_proxy import parts
from hsis_storage_proxy.errors import PROBLEMS, RangeNotSatisfiable, TooManyRequests
from hsis_storage_proxy.hot import HotReads
from hsis_storage_proxy.limits import ClientLimits
from hsis_storage_proxy.places import KeyTurns, UploadPlaces
from hsis_storage_proxy.routes import router
from hsis_storage_proxy.s3 import open_s3
from hsis_storage_proxy.settings import Settings
from hsis_storage_proxy.state import State, state_of
from hsis_storage_proxy.store import BlobStore
from hsis_storage_proxy.tags import KeptTags, MadeTags

PING_TIMEOUT_S = 2.0


def create_app(settings: Settings | None = None) -> FastAPI:
    """The storage-proxy service; settings come from the environment when not given."""
    chosen = settings or Settings()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[Mapping[str, Any]]:
        async with AsyncExitStack() as stack:
            # Without authentication of its own: catalog answers what the caller may see.
            http = await stack.enter_async_context(open_http(chosen))
            s3 = await stack.enter_async_context(open_s3(chosen))
            hot = HotReads(chosen.hot_bytes, chosen.hot_s)
            tags = MadeTags() if chosen.s3_entity_tags == "made" else KeptTags()
            store = BlobStore(s3, chosen.s3_bucket, hot, tags)
            await store.make_bucket()
            access = CollectionAccess(
                CatalogClient(http, chosen.catalog_url), chosen.access_cache_s
            )
            uploads = UploadPlaces(chosen.concurrent_uploads, chosen.prompt_uploads)
            limits = ClientLimits(chosen)
            yield {"state": State(chosen, store, access, uploads, KeyTurns(), limits)}

    app = create_service_app(
        name="storage-proxy",
        title="HSIS blobs: every byte in the object store",
        settings=chosen,
        lifespan=lifespan,
        openapi_url="/blobs/openapi.json",
        problems=PROBLEMS,
        checks={"bucket": _check_bucket},
    )
    _tell_more(app)
    add_routes(app, parts.router, router)  # parts first: they look at the query too
    return app


async def _check_bucket(request: Request) -> None:
    try:
        async with asyncio.timeout(PING_TIMEOUT_S):
            await (await state_of(request)).store.ping()
    except TimeoutError as error:
        raise Unavailable("The object store does not answer.") from error


def _tell_more(app: FastAPI) -> None:
    """Give answers of status 416 and 429 the headers that go with them."""
    render_domain_error = app.exception_handlers[DomainError]

    async def on_error(request: Request, error: Exception) -> Response:
        answer = await cast(Any, render_domain_error)(request, error)
        assert isinstance(answer, Response)
        if isinstance(error, RangeNotSatisfiable):
            answer.headers["Content-Range"] = f"bytes */{error.size}"
        else:
            answer.headers["Retry-After"] = str(RETRY_AFTER_S)
        return answer

    app.add_exception_handler(RangeNotSatisfiable, on_error)
    app.add_exception_handler(TooManyRequests, on_error)

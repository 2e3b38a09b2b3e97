"""storage-proxy over a real object store, with a real catalog to ask for roles."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.platform import (
    ADMIN_PASSWORD,
    catalog_settings,
    fresh_bucket,
    service_app,
    storage_settings,
)
from tests.support.servers import served

from hsis.clients.catalog import CatalogClient
from hsis.service.secret_files import SigningKeys
from hsis_embedded.object_store import ObjectStore

PART_BYTES = 5 * 1024 * 1024
MAX_OBJECT_BYTES = 80 * 1024 * 1024


@dataclass(frozen=True)
class Proxy:
    """A served storage-proxy; `http` calls it as a service unless told otherwise."""

    url: str
    catalog_url: str
    bucket: str
    folder: Path
    http: httpx.AsyncClient
    app: Any

    async def get(self, key: str, **headers: str) -> httpx.Response:
        """GET with headers given as `If_Match="…"`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.get(f"/blobs/{key}", headers=named)

    async def put(self, key: str, content: Any, **headers: str) -> httpx.Response:
        """PUT likewise."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.put(f"/blobs/{key}", content=content, headers=named)

    def files(self) -> set[str]:
        """Every file in the bucket, unfinished ones of the object store included."""
        return {
            str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file()
        }


@pytest.fixture(scope="session")
def service_token(make_token: Callable[..., str]) -> str:
    """A token as catalog gives one to ingest."""
    return make_token("service:ingest", scopes=("service",))


@pytest.fixture(scope="session")
async def catalog_url(keys: SigningKeys, database: Any) -> AsyncIterator[str]:
    """A catalog of the tests' own."""
    settings = catalog_settings(keys) | await database("catalog")
    app = service_app("hsis_catalog", token_public_key=keys.public_pem, **settings)
    async with served(app) as url:
        yield url


@pytest.fixture(scope="session")
async def make_proxy(
    keys: SigningKeys, object_store: ObjectStore, catalog_url: str, service_token: str
) -> AsyncIterator[Callable[..., Any]]:
    """Serves a storage-proxy over a bucket of its own, with more settings where given."""
    async with AsyncExitStack() as exits:

        async def make(**more: Any) -> Proxy:
            bucket = fresh_bucket()
            settings = {
                "token_public_key": keys.public_pem,
                "catalog_url": catalog_url,
                "access_cache_s": 0,
                "part_bytes": PART_BYTES,
                "max_object_bytes": MAX_OBJECT_BYTES,
            }
            settings |= storage_settings(object_store, bucket)
            app = service_app("hsis_storage_proxy", **settings | more)
            url = await exits.enter_async_context(served(app))
            http = httpx.AsyncClient(
                base_url=url,
                headers={"Authorization": f"Bearer {service_token}"},
                trust_env=False,
                timeout=30,
            )
            await exits.enter_async_context(http)
            return Proxy(url, catalog_url, bucket, object_store.folder / bucket, http, app)

        yield make


@pytest.fixture(scope="session")
async def proxy(make_proxy: Callable[..., Any]) -> Proxy:
    """The one that most tests share; each uses keys of its own."""
    made: Proxy = await make_proxy()
    return made


@pytest.fixture(scope="session")
async def admin_token(catalog_url: str) -> str:
    """A token of catalog's first user."""
    async with httpx.AsyncClient(trust_env=False) as http:
        return (await CatalogClient(http, catalog_url).login("admin", ADMIN_PASSWORD)).access_token

"""What ingest's tests share."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from hsis.clients.catalog import CatalogClient
from hsis.clients.ingest import IngestClient
from hsis.clients.storage import StorageClient
from hsis.contracts.uploads import Upload, UploadRequest
from hsis.service.postgres import open_pool
from hsis.service.secret_files import SigningKeys
from hsis_embedded.object_store import ObjectStore
from hsis_embedded.readiness import free_port
from hsis_ingest import leases, transfers
from hsis_ingest.settings import Settings
from tests.ingest import files
from tests.support.platform import (
    ADMIN_PASSWORD,
    SERVICE_SECRET,
    catalog_settings,
    fresh_bucket,
    service_app,
    storage_settings,
)
from tests.support.servers import served

LEASE_S = 600
"""A busy machine does not lose it."""


GROUP_WAIT_S = 3600
"""No further file of a group comes too late: a test ends the wait."""


@pytest.fixture(scope="module", autouse=True)
def _leases_are_renewed_often() -> Iterator[None]:
    """Each quarter of a second: what was given up, or is to give way, is noted then."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leases, "RENEWALS_PER_LEASE", LEASE_S * 4)
        patch.setattr(transfers, "GIVE_WAY_S", 60.0)
        yield


@pytest.fixture(autouse=True)
def _sources_are_closed() -> Iterator[None]:
    yield
    while files.OPEN:
        files.OPEN.pop().close()


@dataclass
class Ingest:
    """Catalog, storage-proxy and ingest, with clients of the administrator."""

    settings: dict[str, Any]
    http: httpx.AsyncClient
    url: str
    catalog_url: str
    storage_url: str
    admin_token: str
    make_token: Callable[..., str]
    folder: Path

    @property
    def client(self) -> IngestClient:
        return IngestClient(self.http, self.url)

    @property
    def catalog(self) -> CatalogClient:
        return CatalogClient(self.http, self.catalog_url)

    @property
    def storage(self) -> StorageClient:
        return StorageClient(self.http, self.storage_url)

    def app(self, **overrides: Any) -> Any:
        """Another replica's application, over the same database and parts."""
        return service_app("hsis_ingest", **self.settings | overrides)

    @asynccontextmanager
    async def replica(self, **overrides: Any) -> AsyncIterator[None]:
        """Such a replica, with a worker, while it runs."""
        async with served(self.app(worker_enabled=True, **overrides)):
            yield

    @asynccontextmanager
    async def eager_replica(self) -> AsyncIterator[IngestClient]:
        """The client of a replica for which nothing is too new to be an orphan."""
        async with served(self.app(worker_enabled=False, orphan_grace_s=0)) as url:
            yield IngestClient(self.http, url)

    async def send(
        self, collection: str, files: dict[str, bytes], client: IngestClient | None = None, **more
    ) -> Upload:
        """Announce and send all files; the upload as it then is."""
        client = client or self.client
        declared = [{"name": name, "size": len(content)} for name, content in files.items()]
        request = UploadRequest(collection=collection, files=declared, **more)
        upload = await client.create(request, token=self.admin_token)
        for name, content in files.items():
            upload = await client.put_file(upload.id, name, content, token=self.admin_token)
        return upload

    async def sql(self, query: str, *arguments: Any) -> Any:
        """The first value of what ingest's database answers."""
        async with open_pool(Settings(**self.settings), "ingest") as pool:
            return await pool.fetchval(query, *arguments)

    async def renewed(self, leased_until: str, *arguments: Any) -> None:
        """Wait until the lease whose end this query answers is taken, and then renewed."""
        async with (
            asyncio.timeout(180),
            open_pool(Settings(**self.settings), "ingest") as pool,
        ):
            while (first := await pool.fetchval(leased_until, *arguments)) is None:
                await asyncio.sleep(0.02)
            while await pool.fetchval(leased_until, *arguments) <= first:
                await asyncio.sleep(0.02)

    async def end_group_wait(self, upload: str) -> None:
        """Let the conversion of files that come one by one begin."""
        waits = await self.sql(
            "UPDATE uploads SET run_after = run_after - make_interval(secs => $2)"
            " WHERE id = $1 AND state = 'queued' RETURNING run_after < now()",
            UUID(upload),
            GROUP_WAIT_S,
        )
        assert waits

    async def end_lease(self, upload: str) -> None:
        """End the lease of this upload's conversion, by the database's clock."""
        await self.sql(
            "UPDATE uploads SET lease_until = now() - interval '1 s'"
            " WHERE id = $1 AND lease_until IS NOT NULL",
            UUID(upload),
        )

    async def ended(self, upload: Upload) -> Upload:
        """The upload once its conversion has succeeded or failed."""
        async with asyncio.timeout(180):
            while not upload.state.final:
                upload = await self.client.upload(upload.id, token=self.admin_token)
                await asyncio.sleep(0.1)
        return upload

    async def keys(self, prefix: str) -> list[str]:
        """What is stored under a prefix."""
        return [blob.key async for blob in self.storage.list(prefix, token=self.admin_token)]

    def unfinished(self, prefix: str) -> list[Path]:
        """What the object store keeps of uploads in parts that nobody completed."""
        return list((self.folder / prefix).glob(".rclone_temp_*"))

    async def emptied(self, *prefixes: str) -> None:
        """Wait until nothing is stored under the prefixes."""
        async with asyncio.timeout(180):
            while any([await self.keys(prefix) for prefix in prefixes]):
                await asyncio.sleep(0.05)


@asynccontextmanager
async def running(
    keys: SigningKeys,
    object_store: ObjectStore,
    databases: dict[str, dict[str, Any]],
    make_token: Callable[..., str],
    **overrides: Any,
) -> AsyncIterator[Ingest]:
    """The three services that a conversion needs; `overrides` are settings of ingest."""
    ports = {name: free_port() for name in ("catalog", "storage-proxy", "ingest")}
    urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    bucket = fresh_bucket()
    common = {
        "token_public_key": keys.public_pem,
        "catalog_url": urls["catalog"],
        "storage_proxy_url": urls["storage-proxy"],
    }
    quick = {"worker_poll_s": 0.5, "sweep_s": 0.5, "lease_s": LEASE_S}
    quick |= {"retry_delay_s": 0.05, "outage_delay_s": 0.05, "group_wait_s": GROUP_WAIT_S}
    own: dict[str, dict[str, Any]] = {
        "catalog": catalog_settings(keys) | databases["catalog"],
        "storage-proxy": storage_settings(object_store, bucket),
        "ingest": databases["ingest"] | quick | overrides,
    }
    async with AsyncExitStack() as exits:
        for name, settings in own.items():
            if name != "catalog":
                settings["service_secret"] = SERVICE_SECRET + name
            app = service_app(f"hsis_{name.replace('-', '_')}", **common | settings)
            await exits.enter_async_context(served(app, ports[name]))
        http = await exits.enter_async_context(httpx.AsyncClient(trust_env=False, timeout=30))
        answer = await CatalogClient(http, urls["catalog"]).login("admin", ADMIN_PASSWORD)
        yield Ingest(
            common | own["ingest"],
            http,
            urls["ingest"],
            urls["catalog"],
            urls["storage-proxy"],
            answer.access_token,
            make_token,
            object_store.folder / bucket,
        )


@pytest.fixture(scope="module")
async def ingest(
    keys: SigningKeys,
    object_store: ObjectStore,
    database: Callable[[str], Awaitable[dict[str, Any]]],
    make_token: Callable[..., str],
) -> AsyncIterator[Ingest]:
    """Ingest with its worker, and what it needs."""
    databases = {schema: await database(schema) for schema in ("catalog", "ingest")}
    async with running(keys, object_store, databases, make_token) as services:
        yield services


@pytest.fixture(scope="module")
async def idle_ingest(
    keys: SigningKeys,
    object_store: ObjectStore,
    database: Callable[[str], Awaitable[dict[str, Any]]],
    make_token: Callable[..., str],
) -> AsyncIterator[Ingest]:
    """Ingest without a worker: a test starts replicas that have one, and ends them."""
    databases = {schema: await database(schema) for schema in ("catalog", "ingest")}
    async with running(keys, object_store, databases, make_token, worker_enabled=False) as services:
        yield services

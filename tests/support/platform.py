"""The real services, served together in the test's event loop over real Postgres and S3."""

import importlib
import uuid
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from hsis.clients.catalog import CatalogClient
from hsis.service.secret_files import CALLING_SERVICES, SigningKeys
from hsis_embedded.object_store import ObjectStore
from hsis_embedded.readiness import free_port
from tests.support.servers import served

ADMIN_PASSWORD = "correct horse battery staple"
SERVICE_SECRET = "service-secret-of-"


@dataclass(frozen=True)
class Platform:
    """Where the services answer, and a token of the first user."""

    catalog_url: str
    storage_url: str
    ingest_url: str
    tiles_url: str
    inference_url: str
    admin_token: str
    admin_password: str = ADMIN_PASSWORD


def service_app(package: str, **settings: Any) -> Any:
    """An application of a service with these settings and nothing of the environment's."""
    app = importlib.import_module(f"{package}.app")
    kinds = importlib.import_module(f"{package}.settings")
    return app.create_app(kinds.Settings(log_level="WARNING", log_format="text", **settings))


def storage_settings(store: ObjectStore, bucket: str) -> dict[str, Any]:
    """storage-proxy's settings for a bucket of the tests' object store."""
    return {
        "s3_endpoint_url": store.endpoint_url,
        "s3_entity_tags": "made",
        "s3_access_key": store.access_key,
        "s3_secret_key": store.secret_key,
        "s3_bucket": bucket,
    }


def catalog_settings(keys: SigningKeys) -> dict[str, Any]:
    """catalog's secrets, and passwords that are hashed in a moment."""
    return {
        "password_memory_kib": 32,
        "password_passes": 1,
        "token_private_key": keys.private_pem,
        "admin_password": ADMIN_PASSWORD,
        **{
            f"service_secret_{name.replace('-', '_')}": SERVICE_SECRET + name
            for name in CALLING_SERVICES
        },
    }


@asynccontextmanager
async def running_platform(
    keys: SigningKeys,
    store: ObjectStore,
    bucket: str,
    databases: dict[str, dict[str, Any]],
    services: Collection[str],
) -> AsyncIterator[Platform]:
    """Those of the services, each with its schema's database where it has one."""
    ports = {name: free_port() for name in ("catalog", *CALLING_SERVICES)}
    urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    common = {
        "token_public_key": keys.public_pem,
        "catalog_url": urls["catalog"],
        "storage_proxy_url": urls["storage-proxy"],
    }
    own: dict[str, dict[str, Any]] = {
        "catalog": catalog_settings(keys),
        "storage-proxy": storage_settings(store, bucket),
        "ingest": {"worker_poll_s": 0.5},
        "tiles": {"access_cache_s": 0},
        "inference": {"worker_poll_s": 0.3, "device": "cpu"},
    }
    async with AsyncExitStack() as exits:
        for name in services:
            settings = common | own[name] | databases.get(name, {})
            if name != "catalog":
                settings["service_secret"] = SERVICE_SECRET + name
            app = service_app(f"hsis_{name.replace('-', '_')}", **settings)
            await exits.enter_async_context(served(app, ports[name]))
        http = await exits.enter_async_context(httpx.AsyncClient(trust_env=False))
        answer = await CatalogClient(http, urls["catalog"]).login("admin", ADMIN_PASSWORD)
        yield Platform(
            urls["catalog"],
            urls["storage-proxy"],
            urls["ingest"],
            urls["tiles"],
            urls["inference"],
            answer.access_token,
        )


def fresh_bucket() -> str:
    """A bucket name that no other test has."""
    return f"test-{uuid.uuid4().hex[:12]}"

"""A real catalog over a real Postgres, with users to try roles on."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from hsis.service.secret_files import SigningKeys
from tests.support.platform import ADMIN_PASSWORD, SERVICE_SECRET, catalog_settings, service_app
from tests.support.servers import served

PASSWORD = "password of a user"
USERS = ("olga", "edda", "vera", "stranger")


@dataclass(frozen=True)
class Catalog:
    """Where it answers and the tokens of its users; `tokens["anonymous"]` is None."""

    http: httpx.AsyncClient
    tokens: dict[str, str | None]
    settings: dict[str, Any] = field(default_factory=dict)

    @asynccontextmanager
    async def replica(self, **overrides: Any) -> AsyncIterator["Catalog"]:
        """Another one over the same database, with other settings."""
        app = service_app("hsis_catalog", **self.settings | overrides)
        async with (
            served(app) as url,
            httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as http,
        ):
            yield Catalog(http, self.tokens, self.settings)

    async def call(
        self, who: str, method: str, path: str, body: Any = None, **arguments: Any
    ) -> httpx.Response:
        """The answer to one request of that user."""
        token = self.tokens[who]
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if body is not None:
            arguments["json"] = body
        return await self.http.request(method, path, headers=headers, **arguments)

    async def done(self, who: str, method: str, path: str, body: Any = None) -> Any:
        """The answer's JSON (None where it has none) of a request that must succeed."""
        answer = await self.call(who, method, path, body)
        assert answer.is_success, (method, path, answer.status_code, answer.text)
        return answer.json() if answer.content else None


async def login(http: httpx.AsyncClient, name: str, password: str) -> str:
    answer = await http.post("/auth/token", data={"username": name, "password": password})
    assert answer.status_code == 200, answer.text
    assert answer.json()["token_type"] == "bearer"
    return str(answer.json()["access_token"])


@pytest.fixture(scope="module")
async def catalog(
    keys: SigningKeys,
    database: Callable[[str], Awaitable[dict[str, Any]]],
    make_token: Callable[..., str],
) -> AsyncIterator[Catalog]:
    """A catalog of the module's own: admin, olga (owner), edda (editor), vera (viewer), stranger
    and the service ingest. The collection `private` is olga's."""
    settings = catalog_settings(keys) | await database("catalog")
    settings |= {"token_public_key": keys.public_pem}
    settings |= {"search_limit_max": 20, "search_positions_max": 50}
    app = service_app("hsis_catalog", **settings)
    async with (
        served(app) as url,
        httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as http,
    ):
        made = Catalog(http, {"anonymous": None}, settings)
        made.tokens["admin"] = await login(http, "admin", ADMIN_PASSWORD)
        for name in USERS:
            body = {"name": name, "password": PASSWORD}
            user = await made.done("admin", "POST", "/auth/users", body)
            made.tokens[name] = make_token(user["id"], name)
        answer = await http.post(
            "/auth/token",
            data={
                "grant_type": "client_credentials",
                "client_id": "ingest",
                "client_secret": SERVICE_SECRET + "ingest",
            },
        )
        made.tokens["service"] = answer.json()["access_token"]
        await made.done("olga", "POST", "/stac/collections", {"id": "private"})
        for name, role in (("edda", "editor"), ("vera", "viewer")):
            grant = {"user": name, "role": role}
            await made.done("olga", "PUT", "/auth/collections/private/grants", grant)
        yield made

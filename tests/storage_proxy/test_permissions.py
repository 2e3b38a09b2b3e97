"""Who may do what, as a real catalog says."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import httpx
import pytest
from tests.storage_proxy.conftest import Proxy

from hsis.clients.catalog import CatalogClient

PASSWORD = "long enough for a user of the tests"
USERS = ("owner", "editor", "viewer", "stranger")


@dataclass(frozen=True)
class World:
    """A private and a public collection with users of every role, and a token for each."""

    proxy: Proxy
    tokens: dict[str, str | None]
    http: httpx.AsyncClient

    async def status(
        self, who: str, method: str, path: str, headers: dict[str, str] | None = None
    ) -> int:
        """The status of a request made by somebody."""
        token = self.tokens[who]
        sent = {"Authorization": f"Bearer {token}"} if token else {}
        content = b"new" if method == "PUT" else None
        answer = await self.http.request(
            method, path, headers=sent | (headers or {}), content=content
        )
        if answer.is_error and method != "HEAD":
            assert answer.headers["Content-Type"] == "application/problem+json"
        return answer.status_code


@pytest.fixture(scope="module")
async def world(
    proxy: Proxy,
    admin_token: str,
    service_token: str,
    make_token: Callable[..., str],
) -> AsyncIterator[World]:
    """Users, grants, collections and a blob in each place."""
    tokens: dict[str, str | None] = {
        "admin": admin_token,
        "service": service_token,
        "anonymous": None,
        "expired": make_token(expires_in=-600),
        "forged": admin_token[:-8] + "AAAAAAAA",
    }
    headers = {"Authorization": f"Bearer {admin_token}"}
    async with httpx.AsyncClient(
        base_url=proxy.catalog_url, trust_env=False, headers=headers
    ) as http:
        catalog = CatalogClient(http, proxy.catalog_url)
        for name in USERS:
            made = await http.post("/auth/users", json={"name": name, "password": PASSWORD})
            assert made.status_code == 201, made.text
            tokens[name] = (await catalog.login(name, PASSWORD)).access_token
        for collection in ("private", "public"):
            document = {
                "type": "Collection",
                "stac_version": "1.1.0",
                "id": collection,
                "description": "of the tests",
                "license": "other",
                "extent": {
                    "spatial": {"bbox": [[-180, -90, 180, 90]]},
                    "temporal": {"interval": [[None, None]]},
                },
                "links": [],
            }
            await catalog.create_collection(document, token=tokens["owner"])
            for role in ("editor", "viewer"):
                granted = await http.put(
                    f"/auth/collections/{collection}/grants", json={"user": role, "role": role}
                )
                assert granted.is_success, granted.text
        shown = await http.put("/auth/collections/public/public", json={"public": True})
        assert shown.is_success, shown.text
        limited = await http.post(
            "/auth/keys",
            headers={"Authorization": f"Bearer {tokens['owner']}"},
            json={"name": "k", "scopes": ["read", "write"], "collections": ["public"]},
        )
        assert limited.status_code == 201, limited.text
        tokens["key for public"] = limited.json()["token"]
        readonly = await http.post(
            "/auth/keys",
            headers={"Authorization": f"Bearer {tokens['owner']}"},
            json={"name": "r", "scopes": ["read"]},
        )
        tokens["key for reading"] = readonly.json()["token"]
    for key in (
        "raw/private/u/f",
        "cubes/private/i/f",
        "raw/public/u/f",
        "cubes/public/i/f",
        "models/m/1/f",
        "backup/f",
    ):
        assert (await proxy.put(key, b"old")).status_code == 201
    async with httpx.AsyncClient(base_url=proxy.url, trust_env=False) as http:
        yield World(proxy, tokens, http)


READ = {
    # who:            private, public, absent, models, other
    "admin": (200, 200, 404, 200, 200),
    "service": (200, 200, 404, 200, 200),
    "owner": (200, 200, 404, 200, 400),
    "editor": (200, 200, 404, 200, 400),
    "viewer": (200, 200, 404, 200, 400),
    "stranger": (404, 200, 404, 200, 400),
    "anonymous": (401, 200, 401, 401, 400),
    "key for public": (403, 200, 403, 200, 400),
    "key for reading": (200, 200, 404, 200, 400),
    "expired": (401, 401, 401, 401, 401),
    "forged": (401, 401, 401, 401, 401),
}
WRITE = {
    "admin": (201, 201, 404, 201, 201),
    "service": (201, 201, 201, 201, 201),
    "owner": (201, 201, 404, 403, 400),
    "editor": (201, 201, 404, 403, 400),
    "viewer": (403, 403, 404, 403, 400),
    "stranger": (404, 403, 404, 403, 400),
    "anonymous": (401, 401, 401, 401, 400),
    "key for public": (403, 201, 403, 403, 400),
    "key for reading": (403, 403, 403, 403, 400),
    "expired": (401, 401, 401, 401, 401),
    "forged": (401, 401, 401, 401, 401),
}
EDITORS = ("owner", "editor", "key for public")
UPLOAD = "0b7e8a3c-1f0d-4c57-9a55-2d5f6c1e9b10"
PLACES = ("{}/private/u/", "{}/public/u/", "{}/absent/u/", "models/m/1/", "backup/")


@pytest.mark.parametrize("who", READ)
async def test_reading(world: World, who: str) -> None:
    for kind, parent in (("raw", "u"), ("cubes", "i")):
        for place, expected in zip(PLACES, READ[who], strict=True):
            path = "/blobs/" + place.format(kind).replace("/u/", f"/{parent}/") + "f"
            for method in ("GET", "HEAD"):
                assert await world.status(who, method, path) == expected, (who, method, path)


@pytest.mark.parametrize("who", WRITE)
async def test_writing_and_removing(world: World, who: str) -> None:
    for kind in ("raw", "cubes", "original"):
        for place, expected in zip(PLACES, WRITE[who], strict=True):
            path = "/blobs/" + place.format("cubes" if kind == "cubes" else "raw") + "new"
            if kind == "original":
                path = path.replace("/u/", f"/{UPLOAD}/")
            if kind != "raw" and expected == 201 and "/m/" not in path and who in EDITORS:
                expected = 403  # of an item: for services and administrators
            assert await world.status(who, "PUT", path) == expected, (who, path)
            removed = 204 if expected == 201 else expected
            assert await world.status(who, "DELETE", path) == removed, (who, path)


@pytest.mark.parametrize("who", READ)
async def test_listing(world: World, who: str) -> None:
    for place, expected in zip(PLACES, READ[who], strict=True):
        path = "/blobs?prefix=" + place.format("raw").replace("u/", "")
        # Nothing tells an absent collection from an empty one to those who may read all.
        if who == "service":
            expected = 200
        elif expected == 400:
            expected = 401 if who == "anonymous" else 403
        assert await world.status(who, "GET", path) == expected, (who, path)
        assert await world.status(who, "GET", path + "&delimiter=/") == expected, (who, path)
    for prefix in ("", "raw/", "raw/public", "cubes/private"):
        expected = 200 if who in {"admin", "service"} else 403
        if world.tokens[who] is None or who in {"expired", "forged"}:
            expected = 401
        assert await world.status(who, "GET", f"/blobs?prefix={prefix}") == expected


@pytest.mark.parametrize("who", READ)
async def test_removing_a_prefix_is_for_services(world: World, who: str) -> None:
    expected = {"service": 200, "anonymous": 401, "expired": 401, "forged": 401}.get(who, 403)
    assert await world.status(who, "DELETE", "/blobs?prefix=raw/public/nothing/") == expected


async def test_an_editor_is_told_how_to_change_what_is_kept(world: World) -> None:
    headers = {"Authorization": f"Bearer {world.tokens['editor']}"}
    answer = await world.http.delete("/blobs/cubes/private/i/f", headers=headers)
    assert answer.status_code == 403
    assert "DELETE /stac/collections/private/items/" in answer.json()["detail"]
    assert "POST /uploads" in answer.json()["detail"]
    assert (await world.proxy.get("cubes/private/i/f")).content == b"old"


async def test_a_cookie_alone_changes_nothing(world: World) -> None:
    cookie = {"Cookie": f"hsis_token={world.tokens['owner']}"}
    path = "/blobs/raw/private/u/cookie"
    assert await world.status("anonymous", "PUT", path, cookie) == 403
    known = cookie | {"X-Requested-With": "fetch"}
    assert await world.status("anonymous", "PUT", path, known) == 201
    assert await world.status("anonymous", "GET", path, cookie) == 200


async def test_a_role_taken_away_counts_at_once(world: World) -> None:
    path = "/blobs/raw/public/u/f"
    owner = {"Authorization": f"Bearer {world.tokens['owner']}"}
    async with httpx.AsyncClient(base_url=world.proxy.catalog_url, trust_env=False) as http:
        url = "/auth/collections/public/public"
        for public, expected in ((False, 401), (True, 200)):
            await http.put(url, json={"public": public}, headers=owner)
            assert await world.status("anonymous", "GET", path) == expected

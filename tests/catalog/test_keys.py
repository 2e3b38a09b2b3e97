"""API keys: limits, expiry, revocation."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest

from hsis.service.secret_files import SigningKeys
from tests.catalog.conftest import Catalog


async def make(catalog: Catalog, who: str, **body: Any) -> dict[str, Any]:
    """The answer for a new key, whose token is then known as `key`."""
    answer = await catalog.done(who, "POST", "/auth/keys", {"name": "of the tests"} | body)
    catalog.tokens["key"] = answer["token"]
    return dict(answer)


async def test_a_key_says_what_it_is_for(catalog: Catalog, keys: SigningKeys) -> None:
    before = datetime.now(UTC)
    key = await make(catalog, "olga", scopes=["read"], collections=["private"], expires_in_days=7)
    claims = jwt.decode(key["token"], keys.public_pem, algorithms=["EdDSA"], audience="hsis")
    assert claims["scope"] == "read"
    assert claims["collections"] == ["private"]
    assert claims["key"] == key["id"]
    assert claims["admin"] is False
    after = datetime.now(UTC)
    ends = datetime.fromtimestamp(claims["exp"], UTC) - timedelta(days=7)
    assert before - timedelta(seconds=1) <= ends <= after + timedelta(seconds=1)
    listed = await catalog.done("olga", "GET", "/auth/keys")
    assert listed["keys"][0] == {name: key[name] for name in key if name != "token"}
    assert (await catalog.done("key", "GET", "/auth/me"))["key"] == key["id"]


async def test_a_key_of_another_collection_is_refused(catalog: Catalog) -> None:
    await make(catalog, "olga", scopes=["read", "write"], collections=["other"])
    assert (await catalog.call("key", "GET", "/stac/collections/private")).status_code == 403
    access = await catalog.done("key", "GET", "/auth/access/private")
    assert access["role"] is None
    refused = await catalog.call("key", "POST", "/stac/collections", {"id": "third"})
    assert refused.status_code == 403
    found = await catalog.done("key", "POST", "/stac/search", {})
    assert found["numberMatched"] == 0
    made = await catalog.call("key", "POST", "/stac/collections", {"id": "other"})
    assert made.status_code == 201
    listed = await catalog.done("key", "GET", "/stac/collections")
    assert [entry["id"] for entry in listed["collections"]] == ["other"]


async def test_a_reading_key_of_an_owner_changes_nothing(catalog: Catalog) -> None:
    await make(catalog, "olga", scopes=["read"])
    assert (await catalog.call("key", "GET", "/stac/collections/private")).status_code == 200
    path = "/stac/collections/private/items/x"
    assert (await catalog.call("key", "DELETE", path)).status_code == 403
    assert (await catalog.call("key", "POST", "/stac/collections", {"id": "x"})).status_code == 403
    assert (await catalog.done("key", "GET", "/auth/access/private"))["role"] == "viewer"


async def test_a_revoked_key_is_refused_everywhere(catalog: Catalog) -> None:
    key = await make(catalog, "olga", scopes=["read"])
    path = f"/auth/keys/{key['id']}"
    assert (await catalog.call("stranger", "DELETE", path)).status_code == 404
    assert (await catalog.call("key", "GET", "/auth/access/private")).status_code == 200
    await catalog.done("olga", "DELETE", path)
    for method, where in (
        ("GET", "/auth/access/private"),
        ("GET", "/auth/me"),
        ("GET", "/stac/collections"),
        ("GET", "/stac/collections/private"),
        ("POST", "/stac/search"),
        ("GET", "/spectra?collection=private"),
    ):
        body = {} if method == "POST" else None
        assert (await catalog.call("key", method, where, body)).status_code == 401, where
    assert (await catalog.call("olga", "DELETE", path)).status_code == 404


@pytest.mark.parametrize(
    ("who", "body", "status"),
    [
        ("olga", {"scopes": ["admin"]}, 403),
        ("olga", {"scopes": ["service"]}, 400),
        ("admin", {"scopes": ["service"]}, 400),
        ("olga", {"scopes": []}, 400),
        ("admin", {"scopes": ["admin"], "collections": ["private"]}, 400),
        ("olga", {"expires_in_days": 100_000}, 400),
        ("olga", {"expires_in_days": 0}, 400),
        ("olga", {"collections": ["../x"]}, 400),
        ("service", {"scopes": ["read"]}, 403),
    ],
)
async def test_no_key_does_more_than_its_maker(
    catalog: Catalog, who: str, body: dict[str, Any], status: int
) -> None:
    answer = await catalog.call(who, "POST", "/auth/keys", {"name": "k"} | body)
    assert answer.status_code == status


async def test_a_key_makes_no_keys(catalog: Catalog) -> None:
    await make(catalog, "admin", scopes=["read", "write", "admin"])
    answer = await catalog.call("key", "POST", "/auth/keys", {"name": "k"})
    assert answer.status_code == 403
    assert (await catalog.call("key", "GET", "/auth/users")).status_code == 200
    await make(catalog, "admin", scopes=["read", "write"])
    assert (await catalog.call("key", "GET", "/auth/users")).status_code == 403


async def test_a_token_for_some_collections_administers_nothing(
    catalog: Catalog, make_token: Callable[..., str]
) -> None:
    """As a key made before this was refused could be."""
    me = (await catalog.done("admin", "GET", "/auth/me"))["id"]
    scopes = ("read", "write", "admin")
    for collections, status in ((None, 200), (["private"], 403)):
        catalog.tokens["made"] = make_token(
            subject=me, admin=True, scopes=scopes, collections=collections
        )
        assert (await catalog.call("made", "GET", "/auth/users")).status_code == status
    other = await make(catalog, "olga", scopes=["read"])
    path = f"/auth/keys/{other['id']}"
    assert (await catalog.call("made", "DELETE", path)).status_code == 404
    assert (await catalog.call("admin", "DELETE", path)).status_code == 204

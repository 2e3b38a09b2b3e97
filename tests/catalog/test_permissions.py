"""Who may do what: written out by hand from the rules."""

import pytest

from tests.catalog.conftest import Catalog
from tests.catalog.documents import item

COLLECTION = "/stac/collections/private"
ITEMS = COLLECTION + "/items"
TRASH = COLLECTION + "/trash"
TEMPLATE = COLLECTION + "/template"
NO_ENTRY = "00000000-0000-4000-8000-000000000000"
GRANTS = "/auth/collections/private/grants"
WHO = ("anonymous", "stranger", "vera", "edda", "olga", "admin", "service")


@pytest.mark.parametrize(
    ("method", "path", "body", "statuses"),
    [
        ("GET", COLLECTION, None, (401, 404, 200, 200, 200, 200, 200)),
        ("GET", ITEMS, None, (401, 404, 200, 200, 200, 200, 200)),
        ("GET", ITEMS + "/none", None, (401, 404, 404, 404, 404, 404, 404)),
        ("PUT", ITEMS + "/none", item("none"), (401, 404, 403, 404, 404, 404, 404)),
        ("DELETE", ITEMS + "/none", None, (401, 404, 403, 404, 404, 404, 404)),
        ("POST", ITEMS, {}, (401, 404, 403, 400, 400, 400, 400)),
        ("PUT", COLLECTION, {"id": "private"}, (401, 404, 403, 403, 200, 200, 200)),
        ("GET", GRANTS, None, (401, 404, 403, 403, 200, 200, 200)),
        ("PUT", "/auth/collections/private/public", {"public": False},
         (401, 404, 403, 403, 200, 200, 200)),
        ("GET", "/spectra?collection=private", None, (401, 404, 200, 200, 200, 200, 200)),
        ("GET", "/stac/collections/absent", None, (401, 404, 404, 404, 404, 404, 404)),
        ("POST", "/stac/collections", {"id": "private"}, (401, 409, 409, 409, 409, 409, 409)),
        ("GET", "/auth/users", None, (401, 403, 403, 403, 403, 200, 200)),
        ("GET", "/stac/removed-items", None, (401, 403, 403, 403, 403, 403, 200)),
        ("POST", "/stac/unknown-prefixes", {"prefixes": ["raw/a/b/"]},
         (401, 403, 403, 403, 403, 403, 200)),
        ("POST", "/stac/removed-prefixes", {"prefixes": ["raw/a/b/"]},
         (401, 403, 403, 403, 403, 403, 204)),
        ("GET", COLLECTION + "/quota", None, (401, 404, 403, 200, 200, 200, 200)),
        ("PUT", COLLECTION + "/quota", {"allowed_bytes": None},
         (401, 403, 403, 403, 403, 200, 200)),
        ("GET", TRASH, None, (401, 404, 403, 200, 200, 200, 200)),
        ("POST", f"{TRASH}/{NO_ENTRY}/restore", None, (401, 404, 403, 404, 404, 404, 404)),
        ("DELETE", f"{TRASH}/{NO_ENTRY}", None, (401, 404, 403, 403, 404, 404, 404)),
        ("POST", f"{TRASH}/{NO_ENTRY}/converted", None, (401, 403, 403, 403, 403, 403, 204)),
        ("GET", TEMPLATE, None, (401, 404, 404, 404, 404, 404, 404)),
        ("PUT", TEMPLATE, {"unit": "DN"}, (401, 404, 403, 403, 200, 200, 200)),
        ("GET", TEMPLATE, None, (401, 404, 200, 200, 200, 200, 200)),
        ("PUT", TEMPLATE, {"scale": 0}, (401, 400, 400, 400, 400, 400, 400)),
        ("DELETE", TEMPLATE, None, (401, 404, 403, 403, 204, 404, 404)),
        ("GET", "/auth/me", None, (401, 200, 200, 200, 200, 200, 200)),
        ("GET", "/auth/keys", None, (401, 200, 200, 200, 200, 200, 403)),
    ],
)  # fmt: skip
async def test_a_request_is_answered_by_role(
    catalog: Catalog, method: str, path: str, body: object, statuses: tuple[int, ...]
) -> None:
    answers = [(await catalog.call(who, method, path, body)).status_code for who in WHO]
    assert dict(zip(WHO, answers, strict=True)) == dict(zip(WHO, statuses, strict=True))


@pytest.mark.parametrize(
    ("who", "role"),
    [
        ("anonymous", None),
        ("stranger", None),
        ("vera", "viewer"),
        ("edda", "editor"),
        ("olga", "owner"),
        ("admin", "owner"),
        ("service", "owner"),
    ],
)
async def test_access_tells_the_role(catalog: Catalog, who: str, role: str | None) -> None:
    answer = await catalog.done(who, "GET", "/auth/access/private")
    assert answer == {"collection": "private", "role": role, "public": False}
    absent = await catalog.done(who, "GET", "/auth/access/absent")
    assert absent["role"] is None


async def test_a_public_collection_is_seen_by_all_and_changed_by_none_more(
    catalog: Catalog,
) -> None:
    await catalog.done("olga", "POST", "/stac/collections", {"id": "open"})
    await catalog.done("olga", "PUT", "/auth/collections/open/public", {"public": True})
    for who in ("anonymous", "stranger"):
        access = await catalog.done(who, "GET", "/auth/access/open")
        assert access == {"collection": "open", "role": "viewer", "public": True}
        assert (await catalog.call(who, "GET", "/stac/collections/open")).status_code == 200
        listed = await catalog.done(who, "GET", "/stac/collections")
        assert [entry["id"] for entry in listed["collections"]] == ["open"]
    path = "/stac/collections/open/items"
    assert (await catalog.call("anonymous", "POST", path, item("a"))).status_code == 401
    assert (await catalog.call("stranger", "POST", path, item("a"))).status_code == 403
    await catalog.done("olga", "PUT", "/auth/collections/open/public", {"public": False})
    assert (await catalog.call("anonymous", "GET", "/stac/collections/open")).status_code == 401
    await catalog.done("olga", "DELETE", "/stac/collections/open")


async def test_a_role_is_given_changed_and_taken_away(catalog: Catalog) -> None:
    await catalog.done("olga", "POST", "/stac/collections", {"id": "shared"})
    grants = "/auth/collections/shared/grants"

    async def role() -> str | None:
        answer = await catalog.done("stranger", "GET", "/auth/access/shared")
        return answer["role"]

    assert await role() is None
    for given in ("editor", "owner", "viewer"):
        answer = await catalog.done("olga", "PUT", grants, {"user": "stranger", "role": given})
        assert {"user": "stranger", "role": given} in answer["grants"]
        assert await role() == given
    await catalog.done("olga", "DELETE", grants + "?user=stranger")
    assert await role() is None
    refused = await catalog.call("olga", "PUT", grants, {"user": "nobody", "role": "viewer"})
    assert refused.status_code == 400
    refused = await catalog.call("olga", "PUT", grants, {"user": "vera", "role": "king"})
    assert refused.status_code == 400


async def test_the_last_owner_stays(catalog: Catalog) -> None:
    await catalog.done("edda", "POST", "/stac/collections", {"id": "eddas"})
    grants = "/auth/collections/eddas/grants"
    for answer in (
        await catalog.call("edda", "DELETE", grants + "?user=edda"),
        await catalog.call("edda", "PUT", grants, {"user": "edda", "role": "viewer"}),
    ):
        assert answer.status_code == 409
        assert answer.json()["type"] == "urn:hsis:problem:last-owner"
    await catalog.done("edda", "PUT", grants, {"user": "vera", "role": "owner"})
    await catalog.done("edda", "DELETE", grants + "?user=edda")
    listed = await catalog.done("vera", "GET", grants)
    assert listed == {"public": False, "grants": [{"user": "vera", "role": "owner"}]}

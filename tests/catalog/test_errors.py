"""Every error of the service has a status and a slug of its own."""

import importlib
import pkgutil
from collections.abc import AsyncIterator

import pytest

import hsis_catalog
from hsis.errors import COMMON_PROBLEMS, DomainError
from hsis_catalog.errors import PROBLEMS
from tests.catalog.conftest import Catalog


def subclasses(kind: type[DomainError]) -> set[type[DomainError]]:
    return {kind}.union(*(subclasses(child) for child in kind.__subclasses__()))


def test_every_domain_error_is_mapped() -> None:
    for module in pkgutil.walk_packages(hsis_catalog.__path__, "hsis_catalog."):
        importlib.import_module(module.name)
    own = {kind for kind in subclasses(DomainError) if kind.__module__.startswith("hsis_catalog")}
    assert own == set(PROBLEMS)
    kinds = [*PROBLEMS.values(), *COMMON_PROBLEMS.values()]
    assert len({kind.slug for kind in kinds}) == len(kinds)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/stac/collections/a%00b", None),
        ("GET", "/stac/collections/private/items/a%00b", None),
        ("GET", "/stac/collections/private/items?ids=a%00b", None),
        ("GET", "/auth/access/a%00b", None),
        ("GET", "/spectra?collection=private&name=a%00b", None),
        ("DELETE", "/auth/users/a%00b", None),
        ("DELETE", "/auth/collections/private/grants?user=a%00b", None),
        ("PUT", "/auth/collections/private/grants", {"user": "a\x00", "role": "viewer"}),
        ("POST", "/auth/session", {"username": "a\x00", "password": "x"}),
        ("DELETE", "/auth/keys/1", None),
    ],
)
async def test_a_text_that_postgres_cannot_hold_is_a_bad_request(
    catalog: Catalog, method: str, path: str, body: object
) -> None:
    answer = await catalog.call("admin", method, path, body)
    assert answer.status_code == 400, answer.text


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/auth/session", rb'{"username": "vera", "password": "\ud800"}', 401),
        ("/auth/session", rb'{"username": "\ud800", "password": "x"}', 400),
        ("/auth/keys", rb'{"name": "\ud800"}', 400),
        ("/spectra", rb'{"collection": "private", "name": "\ud800", "values": [1]}', 400),
        ("/stac/search", rb'{"ids": ["\ud800"]}', 400),
    ],
)
async def test_half_a_surrogate_pair_is_no_error_of_ours(
    catalog: Catalog, path: str, body: bytes, status: int
) -> None:
    answer = await catalog.http.post(
        path,
        content=body,
        headers={
            "Authorization": f"Bearer {catalog.tokens['olga']}",
            "Content-Type": "application/json",
        },
    )
    assert answer.status_code == status, answer.text


@pytest.mark.parametrize("path", ["/auth/session", "/auth/keys", "/spectra", "/stac/search"])
@pytest.mark.parametrize("told", [True, False], ids=["with-length", "chunked"])
async def test_a_body_over_the_limit_is_refused_before_anything_else(
    catalog: Catalog, path: str, told: bool
) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield body

    body = b" " * (16 * 1024**2 + 1)
    answer = await catalog.http.post(
        path,
        content=body if told else pieces(),
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 413, answer.text
    found = answer.json()
    assert "HSIS_MAX_DOCUMENT_BYTES" in (found.get("detail") or found["description"])
    assert answer.headers["X-Request-ID"] == found["request_id"]

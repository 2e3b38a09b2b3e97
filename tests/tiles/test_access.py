"""Who may read a cube, what a browser may keep, and cubes that change or are damaged."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import numpy as np
import pytest

from hsis.contracts.blobs import cube_prefix, statistics_key
from hsis.errors import COMMON_PROBLEMS, DomainError, problem_type
from hsis.service.secret_files import SigningKeys
from hsis_embedded.readiness import free_port
from hsis_tiles import errors
from tests.support.platform import service_app
from tests.support.servers import ready
from tests.tiles.conftest import COLLECTION, Tiles

ENDPOINTS = ("spectrum?x=0&y=0", "preview.png", "statistics", "export?format=npy")


@pytest.fixture(scope="module")
async def path(tiles: Tiles) -> str:
    """A cube of a private collection."""
    return await tiles.store("private", np.arange(12, dtype=np.int16).reshape(3, 2, 2))


@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_a_private_cube_is_not_for_the_public(tiles: Tiles, path: str, endpoint: str) -> None:
    anonymous = await tiles.http.get(f"{path}/{endpoint}")
    assert anonymous.status_code in {401, 404}
    forged = tiles.admin_token[:-8] + "AAAAAAAA"
    answer = await tiles.get(f"{path}/{endpoint}", headers={"Authorization": f"Bearer {forged}"})
    assert answer.status_code == 401


@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_a_token_of_another_collection_does_not_open_it(
    tiles: Tiles, path: str, endpoint: str, make_token: Callable[..., str]
) -> None:
    token = make_token(collections=["another"])
    answer = await tiles.get(f"{path}/{endpoint}", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code in {401, 403, 404}


async def test_the_session_cookie_is_enough(tiles: Tiles, path: str) -> None:
    cookie = {"Cookie": f"hsis_token={tiles.admin_token}"}
    answer = await tiles.http.get(f"{path}/spectrum?x=1&y=0", headers=cookie)
    assert answer.json()["values"] == [1, 5, 9]


@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_an_unchanged_answer_is_not_sent_again(
    tiles: Tiles, path: str, endpoint: str
) -> None:
    first = await tiles.get(f"{path}/{endpoint}")
    assert first.headers["Cache-Control"].startswith("private")
    again = await tiles.get(
        f"{path}/{endpoint}", headers={"If-None-Match": f'"other", {first.headers["ETag"]}'}
    )
    assert (again.status_code, again.content) == (304, b"")
    other = await tiles.get(f"{path}/spectrum?x=1&y=1")
    assert other.headers["ETag"] != first.headers["ETag"]


async def test_a_missing_item_is_not_found(tiles: Tiles) -> None:
    answer = await tiles.get(f"/cubes/{COLLECTION}/nothing/statistics")
    assert answer.status_code == 404
    assert "nothing" in answer.json()["detail"]


@pytest.mark.parametrize("name", ["..", ".hidden", "a b", "%2e%2e%2fx"])
async def test_ids_are_never_paths(tiles: Tiles, name: str) -> None:
    answer = await tiles.get(f"/cubes/{COLLECTION}/{name}/statistics")
    assert answer.status_code in {400, 404}


async def test_an_item_replaced_under_the_same_id_shows_its_new_values(tiles: Tiles) -> None:
    path = await tiles.store("replaced", np.full((2, 3, 3), 7, np.int16))
    first = await tiles.get(f"{path}/spectrum?x=2&y=2")
    assert first.json()["values"] == [7, 7]
    await tiles.catalog.delete_item(COLLECTION, "replaced", token=tiles.admin_token)
    values = np.random.default_rng(1).normal(size=(40, 200, 3))
    await tiles.store("replaced", values)
    second = await tiles.get(
        f"{path}/spectrum?x=2&y=2", headers={"If-None-Match": first.headers["ETag"]}
    )
    assert second.status_code == 200, second.text
    assert second.json()["values"] == values[:, 2, 2].tolist()


async def test_a_damaged_cube_is_told_as_such(tiles: Tiles) -> None:
    path = await tiles.store("damaged", np.full((2, 3, 3), 7, np.int16))
    shard = cube_prefix(COLLECTION, "damaged") + "cube/c/0/0/0"
    await tiles.put(shard, b"\0" * 500, "application/octet-stream")
    answer = await tiles.get(f"{path}/spectrum?x=0&y=0")
    assert answer.status_code == 500
    assert answer.json()["type"] == "urn:hsis:problem:damaged-cube"
    await tiles.put(statistics_key(COLLECTION, "damaged"), b"{}", "application/json")
    answer = await tiles.get(f"{path}/statistics")
    assert answer.json()["type"] == "urn:hsis:problem:damaged-cube"


async def test_it_is_ready_and_describes_itself(tiles: Tiles) -> None:
    assert await ready(tiles.http) == {"catalog": "ok", "storage-proxy": "ok"}
    described = (await tiles.http.get("/cubes/openapi.json")).json()
    assert set(described["paths"]) == {
        f"/cubes/{{collection}}/{{item}}/{name}"
        for name in ("spectrum", "preview.png", "statistics", "export")
    }


def test_every_error_has_a_place_in_the_table() -> None:
    table = {**COMMON_PROBLEMS, **errors.PROBLEMS}
    own = [
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, DomainError) and value is not DomainError
    ]
    assert own
    assert all(problem_type(table, error("")).slug for error in own)


async def test_an_unreachable_catalog_is_not_an_answer(
    make_token: Callable[..., str], keys: SigningKeys, serve: Callable[[Any], Awaitable[str]]
) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    app = service_app(
        "hsis_tiles",
        token_public_key=keys.public_pem,
        service_secret="secret",
        catalog_url=nowhere,
        storage_proxy_url=nowhere,
    )
    url = await serve(app)
    async with httpx.AsyncClient(base_url=url, trust_env=False) as http:
        assert (await http.get("/livez")).status_code == 200
        assert (await http.get("/readyz")).status_code == 503
        headers = {"Authorization": f"Bearer {make_token()}"}
        answer = await http.get("/cubes/a/b/statistics", headers=headers)
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "2"

"""What one client, and all together, may ask for at once."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
from fastapi import Request
from tests.storage_proxy.conftest import Proxy
from tests.support.clocks import run_skipping_waits

from hsis.clients.storage import StorageClient
from hsis.errors import Unavailable
from hsis_storage_proxy.errors import TooManyRequests
from hsis_storage_proxy.limits import ClientLimits, address_of
from hsis_storage_proxy.objects import OpenBlob
from hsis_storage_proxy.settings import Settings


def limits(**settings: Any) -> ClientLimits:
    """With these settings alone."""
    return ClientLimits(
        Settings(token_public_key="-", s3_access_key="-", s3_secret_key="-", **settings)
    )


def bearer(make_token: Callable[..., str], name: str) -> dict[str, str]:
    """Headers of an administrator, who may read and write everywhere."""
    token = make_token(name, admin=True, scopes=("read", "write", "admin"))
    return {"Authorization": f"Bearer {token}"}


async def test_places_are_by_client_and_forgotten() -> None:
    places = limits(client_requests=2, max_requests=4, client_wait_s=0)
    async with AsyncExitStack() as held:
        for name in ("a", "a", "b"):
            await held.enter_async_context(places.taken(name))
        with pytest.raises(TooManyRequests, match="client_requests"):
            async with places.taken("a"):
                pass
        async with places.taken("b"):
            assert len(places) == 2
            with pytest.raises(Unavailable, match="max_requests"):
                async with places.taken("c"):
                    pass
    assert len(places) == 0


async def test_who_waits_for_a_place_gets_it() -> None:
    places = limits(client_requests=1)
    order: list[str] = []

    async def request(name: str) -> None:
        async with places.taken("a"):
            order.append(f"{name} begins")
            await asyncio.sleep(0)
            order.append(f"{name} ends")

    given_up = asyncio.create_task(request("none"))
    async with places.taken("a"):
        await asyncio.sleep(0)
        given_up.cancel()  # a client that waits no more takes no place
        requests = [asyncio.create_task(request(name)) for name in ("first", "second")]
        await asyncio.sleep(0)
        assert order == []
    await asyncio.gather(*requests)
    assert order == ["first begins", "first ends", "second begins", "second ends"]
    assert len(places) == 0


def test_the_address_is_what_the_edge_saw() -> None:
    def told(*forwarded: str) -> str:
        headers = [(b"x-forwarded-for", value.encode()) for value in forwarded]
        return address_of(Request({"type": "http", "headers": headers, "client": ("10.0.0.9", 1)}))

    assert told() == "10.0.0.9"
    assert told("192.0.2.1") == "192.0.2.1"
    assert told("made up, 192.0.2.1") == "192.0.2.1"


async def test_one_client_too_many_at_once(
    make_proxy: Callable[..., Any], make_token: Callable[..., str]
) -> None:
    proxy: Proxy = await make_proxy(client_requests=2, client_wait_s=0.2, max_requests=4)
    busy, other, third = (bearer(make_token, name) for name in ("busy", "other", "third"))
    began, go_on = asyncio.Semaphore(0), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"x"
        began.release()
        await go_on.wait()

    async def put(name: str, headers: dict[str, str]) -> int:
        path = f"/blobs/limits/{name}"
        return (await proxy.http.put(path, content=slow(), headers=headers)).status_code

    held = [asyncio.create_task(put(str(number), busy)) for number in range(2)]
    for _ in held:
        await began.acquire()
    refused = await proxy.http.get("/blobs/limits/0", headers=busy)
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) > 0
    assert refused.json()["type"] == "urn:hsis:problem:too-many-requests"
    # Others and the services are not affected.
    assert (await proxy.http.get("/blobs/limits/0", headers=other)).status_code == 404
    assert (await proxy.get("limits/0")).status_code == 404
    held += [asyncio.create_task(put(f"other-{number}", other)) for number in range(2)]
    for _ in range(2):
        await began.acquire()
    overall = await proxy.http.get("/blobs/limits/0", headers=third)
    assert (overall.status_code, overall.headers["Retry-After"]) == (503, "2")
    assert (await proxy.get("limits/0")).status_code == 404
    go_on.set()
    assert [await status for status in held] == [201] * 4
    assert (await proxy.http.get("/blobs/limits/0", headers=busy)).content == b"x"


def test_a_rate_is_held_over_all_requests_of_a_client() -> None:
    mib = 1024 * 1024
    paces = limits(client_bytes_per_s=mib)

    async def times() -> list[float]:
        """When each was let go on."""
        clock, seen = asyncio.get_running_loop().time, []
        await asyncio.sleep(10)
        for name, size in (("a", mib), ("a", mib // 2), ("b", mib), ("a", mib // 4)):
            await paces.pace(name, size)
            seen.append(clock())
        await asyncio.sleep(0.5)  # in which half a second of it is saved up
        for size in (mib // 2, mib):
            await paces.pace("a", size)
            seen.append(clock())
        return seen

    # A second's share at once, however long it was quiet; then as the rate says.
    assert run_skipping_waits(times()) == [10, 10.5, 10.5, 10.75, 11.25, 12.25]


async def test_a_client_is_paced_both_ways_and_a_service_is_not(
    make_proxy: Callable[..., Any],
    make_token: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    proxy: Proxy = await make_proxy(client_bytes_per_s=1024 * 1024)
    paced: list[tuple[str, int]] = []

    async def noted(_: ClientLimits, name: str, size: int) -> None:
        paced.append((name, size))

    monkeypatch.setattr(ClientLimits, "pace", noted)
    headers, content = bearer(make_token, "paced"), bytes(786_432)
    await proxy.put("limits/rate", content)
    assert (await proxy.get("limits/rate")).content == content
    assert paced == []
    ranged = headers | {"Range": "bytes=0-99999"}
    assert len((await proxy.http.get("/blobs/limits/rate", headers=ranged)).content) == 100_000
    assert {name for name, _ in paced} == {"token paced"}
    assert sum(size for _, size in paced) == 100_000
    paced.clear()
    stored = await proxy.http.put("/blobs/limits/sent", content=content, headers=headers)
    assert stored.status_code == 201
    assert {name for name, _ in paced} == {"token paced"}
    assert sum(size for _, size in paced) == len(content) + len(stored.content)


async def test_a_reader_that_takes_nothing_is_left(
    make_proxy: Callable[..., Any], service_token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy: Proxy = await make_proxy(reader_timeout_s=0.3)
    await proxy.put("limits/large", bytes(64 * 1024 * 1024))
    closed, close = asyncio.Event(), OpenBlob.close

    def noted(opened: OpenBlob) -> None:
        close(opened)
        closed.set()

    monkeypatch.setattr(OpenBlob, "close", noted)
    host, port = proxy.url.removeprefix("http://").split(":")
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        connection.connect((host, int(port)))
        connection.sendall(
            f"GET /blobs/limits/large HTTP/1.1\r\nHost: {host}\r\n"
            f"Authorization: Bearer {service_token}\r\n\r\n".encode()
        )
        async with asyncio.timeout(60):
            await closed.wait()


async def test_the_typed_client_asks_again(
    make_proxy: Callable[..., Any], make_token: Callable[..., str]
) -> None:
    proxy: Proxy = await make_proxy(client_requests=1, client_wait_s=0)
    await proxy.put("limits/again", b"x")
    headers = bearer(make_token, "patient")
    async with httpx.AsyncClient(trust_env=False, headers=headers) as http:
        client = StorageClient(http, proxy.url)
        answers = await asyncio.gather(*(client.get("limits/again") for _ in range(3)))
    assert answers == [b"x"] * 3

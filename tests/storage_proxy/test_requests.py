"""Bodies that stop coming."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import Request
from tests.storage_proxy.conftest import Proxy
from tests.support.clocks import run_skipping_waits

from hsis_storage_proxy.errors import BodyTimeout
from hsis_storage_proxy.requests import body_of


async def test_a_client_that_falls_silent_is_told_so(
    make_proxy: Callable[..., Any], service_token: str
) -> None:
    proxy: Proxy = await make_proxy(body_timeout_s=0.8)
    host, port = proxy.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        f"PUT /blobs/raw/writing/u/silent HTTP/1.1\r\nHost: {host}\r\n"
        f"Authorization: Bearer {service_token}\r\nContent-Length: 10\r\n\r\n12345".encode()
    )
    async with asyncio.timeout(60):
        assert (await reader.readline()).startswith(b"HTTP/1.1 408")
        problem = await reader.readuntil(b"}")
    assert b"after 5 bytes" in problem
    writer.transport.abort()
    assert proxy.files() == set()


def test_silence_is_counted_from_the_last_piece() -> None:
    async def received(*gaps_s: float) -> list[bytes]:
        left = list(gaps_s)

        async def receive() -> dict[str, Any]:
            await asyncio.sleep(left.pop(0))
            return {"type": "http.request", "body": b"x", "more_body": bool(left)}

        pieces = body_of(Request({"type": "http"}, receive), None, 1.0)
        return [piece async for piece in pieces if piece]

    # Together longer than the silence that is allowed.
    assert run_skipping_waits(received(0.9, 0.9, 0.9, 0.9)) == [b"x"] * 4
    with pytest.raises(BodyTimeout, match="after 2 bytes"):
        run_skipping_waits(received(0.9, 0.9, 1.1))

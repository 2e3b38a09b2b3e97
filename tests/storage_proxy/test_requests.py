"""Bodies that stop coming."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from tests.storage_proxy.conftest import Proxy


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
    async with asyncio.timeout(5):
        assert (await reader.readline()).startswith(b"HTTP/1.1 408")
        problem = await reader.readuntil(b"}")
    assert b"after 5 bytes" in problem
    writer.transport.abort()
    assert proxy.files() == set()

    async def slow_but_steady() -> AsyncIterator[bytes]:
        for _ in range(5):
            await asyncio.sleep(0.2)  # together longer than the silence that is allowed
            yield b"x"

    assert (await proxy.put("raw/writing/u/steady", slow_but_steady())).status_code == 201

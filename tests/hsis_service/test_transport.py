"""The services' HTTP client over aiohttp's connections behaves as httpx does by itself."""

import gzip
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from hsis.service.http import LIMITS
from hsis.service.transport import SMALL_BYTES, ServiceTransport
from hsis_embedded.readiness import free_port


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the method, the raw target and the body it got; some paths misbehave."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    target = scope["raw_path"] + b"?" + scope["query_string"]
    content = b" ".join([scope["method"].encode(), target, body])
    headers = [
        *((b"x-seen", name + b"=" + value) for name, value in scope["headers"]),
        (b"x-port", str(scope["client"][1]).encode()),
    ]
    length = len(content)
    if scope["path"] == "/gzip":
        content = gzip.compress(content)
        length = len(content)
        headers.append((b"content-encoding", b"gzip"))
    if scope["path"] == "/redirect":
        headers.append((b"location", b"/elsewhere"))
    if scope["path"] == "/broken":
        length += 10
    if scope["path"] == "/silent":
        await receive()  # until the client goes away
    headers.append((b"content-length", str(length).encode()))
    status = {"/missing": 404, "/redirect": 307}.get(scope["path"], 200)
    await send({"type": "http.response.start", "status": status, "headers": headers})
    if scope["method"] != "HEAD":
        await send({"type": "http.response.body", "body": content})
    if scope["path"] == "/broken":
        raise ConnectionError("the end")


@pytest.fixture
async def clients(serve: Callable[..., Any]) -> AsyncIterator[list[httpx.AsyncClient]]:
    """The client of the services, and httpx's own to compare it with."""
    url = await serve(echo)
    async with (
        httpx.AsyncClient(base_url=url, transport=ServiceTransport(LIMITS)) as ours,
        httpx.AsyncClient(base_url=url, trust_env=False) as plain,
    ):
        yield [ours, plain]


@pytest.mark.parametrize(
    ("method", "target", "content"),
    [
        ("GET", "/a/%C3%9C%20(b+c)&d=%2541%3F?q=%2F+x&q=2", None),
        ("GET", "/gzip", None),
        ("GET", "/missing", None),
        ("GET", "/redirect", None),
        ("HEAD", "/a", None),
        ("DELETE", "/a", None),
        ("POST", "/a", None),
        ("POST", "/a", b"sent"),
        pytest.param("PATCH", "/missing", bytes(SMALL_BYTES), id="small"),
        pytest.param("PUT", "/redirect", bytes(SMALL_BYTES + 1), id="large"),
    ],
)
async def test_requests_and_answers_are_those_of_httpx(
    clients: list[httpx.AsyncClient], method: str, target: str, content: bytes | None
) -> None:
    headers = [("X-Twice", "1"), ("X-Twice", "2"), ("Cookie", "a=b")]
    got = [
        await client.request(method, target, headers=headers, content=content) for client in clients
    ]
    for answer in got:
        assert answer.headers.get_list("x-seen").count("x-twice=1") == 1
        del answer.headers["x-port"]
        del answer.headers["date"]
    ours, plain = got
    assert (ours.status_code, ours.content) == (plain.status_code, plain.content)
    assert _headers(ours) == _headers(plain)


def _headers(answer: httpx.Response) -> list[tuple[str, str]]:
    """In order; without what only aiohttp tells of a DELETE, that nothing follows."""
    nothing = ("x-seen", "content-length=0")
    return sorted(pair for pair in answer.headers.multi_items() if pair != nothing)


async def test_a_connection_is_kept_and_one_given_up_is_not(
    clients: list[httpx.AsyncClient],
) -> None:
    ours = clients[0]
    ports = {(await ours.get("/a")).headers["x-port"] for _ in range(3)}
    assert len(ports) == 1
    async with ours.stream("GET", "/broken"):  # left before its end
        pass
    assert (await ours.get("/a")).headers["x-port"] not in ports


async def test_a_body_that_is_streamed_arrives_and_its_error_is_the_callers(
    clients: list[httpx.AsyncClient],
) -> None:
    async def pieces(*, fails: bool) -> AsyncIterator[bytes]:
        yield b"one "
        if fails:
            raise LookupError("of the caller")
        yield b"two"

    answer = await clients[0].put("/a", content=pieces(fails=False))
    assert answer.content == b"PUT /a? one two"
    with pytest.raises(LookupError, match="of the caller"):
        await clients[0].put("/a", content=pieces(fails=True))


async def test_errors_are_those_of_httpx(clients: list[httpx.AsyncClient]) -> None:
    for client in clients:
        with pytest.raises(httpx.TransportError) as broken:
            await client.get("/broken")
        assert not isinstance(broken.value, httpx.TimeoutException)
        with pytest.raises(httpx.ReadTimeout):
            await client.get("/silent", timeout=httpx.Timeout(60, read=0.2))
        with pytest.raises(httpx.ConnectError):
            await client.get(f"http://127.0.0.1:{free_port()}/")

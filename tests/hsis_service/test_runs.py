"""What is received in pieces of any size lies where it belongs, without the gaps."""

import asyncio
import random
from itertools import pairwise

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsis.clients import storage
from hsis.clients.storage import StorageClient
from hsis.errors import NotFound, Unavailable
from hsis.runs import Runs

CONTENT = random.Random(1).randbytes(5000)


@given(
    count=st.integers(1, 5),
    run=st.integers(1, 40),
    gap=st.integers(0, 30),
    more=st.integers(0, 50),
    cuts=st.lists(st.integers(0, 400), max_size=8),
)
def test_runs_without_the_gaps(count: int, run: int, gap: int, more: int, cuts: list[int]) -> None:
    target = bytearray(count * run)
    runs = Runs(memoryview(target), run, gap)
    expected = b"".join(CONTENT[n * (run + gap) :][:run] for n in range(count))
    assert runs.length == count * run + (count - 1) * gap
    edges = sorted({0, runs.length + more, *(min(cut, runs.length + more) for cut in cuts)})
    for start, stop in pairwise(edges):
        runs.put(start, CONTENT[start:stop])
    assert target == expected


async def test_an_answer_that_breaks_off_is_asked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(storage, "RETRY_DELAYS_S", (0.0, 0.0))
    answers = [
        b"HTTP/1.1 206 P\r\nContent-Length: 10\r\n\r\nabc",
        b"HTTP/1.1 503 U\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 206 P\r\nContent-Length: 10\r\n\r\n0123456789",
        b"HTTP/1.1 404 N\r\nContent-Length: 0\r\n\r\n",
        *[b"HTTP/1.1 206 P\r\nContent-Length: 10\r\n\r\nabc"] * 3,
        b"HTTP/1.1 200 O\r\nContent-Length: 20\r\n\r\n01234567890123456789",
    ]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answers.pop(0))
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    target = bytearray(10)
    async with server, httpx.AsyncClient(trust_env=False) as http:
        client = StorageClient(http, f"http://127.0.0.1:{port}")
        assert await client.get_range_into("k", 0, Runs.of(memoryview(target))) == 10
        assert target == b"0123456789"
        with pytest.raises(NotFound):
            await client.get_range_into("k", 0, Runs.of(memoryview(target)))
        assert len(answers) == 4
        with pytest.raises(Unavailable):
            await client.get_range_into("k", 0, Runs.of(memoryview(target)))
        # A server that does not do ranges sends all of it.
        assert await client.get_range_into("k", 8, Runs(memoryview(target)[:8], 4, 1)) == 9
        assert target == b"8901" + b"3456" + b"89"
    assert not answers

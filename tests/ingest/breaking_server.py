"""A server of files that breaks off, changes, knows no ranges, or lies about them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from hsis_embedded.readiness import free_port


@dataclass(frozen=True)
class Answer:
    """What one request gets: `sent` after a head; the connection is closed then, or kept silent."""

    sent: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    hangs: bool = False


Ask = tuple[str | None, str | None]
"""The Range and If-Range of a request."""


@dataclass
class Breaking:
    """Answers the n-th request for a path by the n-th of its answers, and the last one for ever."""

    url: str = ""
    asked: dict[str, list[Ask]] = field(default_factory=dict)
    answers: dict[str, Sequence[Callable[[int], Answer]]] = field(default_factory=dict)

    def has(self, path: str, *answers: Callable[[int], Answer]) -> str:
        """The URL of a path with these answers; each is given the first byte that is asked for."""
        self.answers[path], self.asked[path] = answers, []
        return f"{self.url}/{path}"

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        path = head[0].split()[1].partition("?")[0].removeprefix("/")
        fields = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head[1:] if line)
        }
        self.asked[path].append((fields.get("range"), fields.get("if-range")))
        start = int(fields.get("range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        answers = self.answers[path]
        told = answers[min(len(self.asked[path]), len(answers)) - 1](start)
        lines = [f"HTTP/1.1 {told.status} x", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in told.headers.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + told.sent)
        try:
            await writer.drain()
            if told.hangs:
                await reader.read()  # until the client goes away
            writer.close()
            await writer.wait_closed()
        except ConnectionError:
            pass


@asynccontextmanager
async def breaking() -> AsyncIterator[Breaking]:
    """Such a server while it runs."""
    port = free_port()
    files = Breaking(f"http://localhost:{port}")
    async with await asyncio.start_server(files.answer, "127.0.0.1", port):
        yield files


def whole(content: bytes, cut: int | None = None, **headers: str) -> Callable[[int], Answer]:
    """All of a file by its length; `cut` says after how many bytes the line breaks."""
    told = {"Content-Length": str(len(content))} | _named(headers)
    return lambda _: Answer(content[:cut], 200, told)


def rest(
    content: bytes, cut: int | None = None, content_range: str | None = None, **headers: str
) -> Callable[[int], Answer]:
    """The file from the byte that is asked for on, up to `cut`."""

    def answer(start: int) -> Answer:
        told = f"bytes {start}-{len(content) - 1}/{len(content)}"
        fields = {
            "Content-Range": content_range or told,
            "Content-Length": str(len(content) - start),
        }
        return Answer(content[start:cut], 206, fields | _named(headers))

    return answer


def _named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}

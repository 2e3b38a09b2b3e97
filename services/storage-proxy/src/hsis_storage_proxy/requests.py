"""What is read of requests: the key in the path, the type and the body."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from fastapi import Request
from starlette.convertors import PathConvertor, register_url_convertor
from starlette.requests import ClientDisconnect

from hsis.errors import InvalidInput
from hsis_storage_proxy.errors import BodyTimeout, IncompleteBody
from hsis_storage_proxy.multipart import DEFAULT_TYPE

MAX_TYPE_LENGTH = 255


class KeyConvertor(PathConvertor):
    """The rest of a path whatever is in it; Starlette's own would drop a newline at its end."""

    regex = "(?s:.*)"


register_url_convertor("blob", KeyConvertor())


async def body_of(
    request: Request, declared: int | None, silence_s: float
) -> AsyncGenerator[bytes]:
    """The body's pieces; IncompleteBody unless all of it came, BodyTimeout where nothing came for
    `silence_s` seconds."""
    received = 0
    async with aclosing(request.stream()) as pieces:
        while True:
            try:
                async with asyncio.timeout(silence_s):
                    piece = await anext(pieces, None)
            except ClientDisconnect as error:
                raise IncompleteBody(f"The client went away after {received} bytes.") from error
            except TimeoutError as error:
                raise BodyTimeout(
                    f"Nothing came for {silence_s:g} s (body_timeout_s) after {received} bytes."
                ) from error
            if piece is None:
                break
            received += len(piece)
            yield piece
    if declared is not None and received != declared:
        raise IncompleteBody(f"{received} bytes came of the {declared} in Content-Length.")


def content_type_of(request: Request) -> str:
    """The type that the body is said to have; InvalidInput where it cannot be stored."""
    given = request.headers.get("Content-Type", "").strip()
    if len(given) > MAX_TYPE_LENGTH or not (given.isascii() and given.isprintable()):
        raise InvalidInput(
            f"Content-Type is printable ASCII, at most {MAX_TYPE_LENGTH} characters."
        )
    return given or DEFAULT_TYPE

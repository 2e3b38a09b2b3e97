"""ZIP archives written while they are sent: members are stored, not compressed.

What is stored has a length that is known before, so that the archive's is too; the values of a cube
hardly shrink by deflate anyway.
"""

import asyncio
import zipfile
from collections.abc import AsyncGenerator, Callable, Iterable
from concurrent.futures import Executor
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import IO, cast

from hsis_tiles.export.stream import Bytes

MEDIA_TYPE = "application/zip"
_LOCAL_HEADER, _CENTRAL_HEADER, _END = 30, 46, 22
_DESCRIPTOR, _DESCRIPTOR_64, _LOCAL_EXTRA_64 = 16, 24, 20
_END_64 = 56 + 20
_INLINE_BYTES = 128 * 1024
"""The checksum of no more is computed in the event loop."""
EARLIEST = datetime(1980, 1, 1)
"""Of a ZIP archive, whose times have no zone."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file of an archive; `content` makes its `length` bytes."""

    name: str
    length: int
    content: Callable[[], AsyncGenerator[Bytes, None]]


class _Sink:
    """What zipfile wrote and was not sent yet."""

    def __init__(self) -> None:
        self._parts: list[Bytes] = []

    def write(self, part: Bytes, /) -> int:
        self._parts.append(part)
        return len(part)

    def flush(self) -> None:
        """There is nothing behind this."""

    def take(self) -> list[Bytes]:
        parts, self._parts = self._parts, []
        return parts


def archive_length(members: Iterable[tuple[str, int]]) -> int:
    """The bytes of an archive of files of these names and lengths, by APPNOTE.TXT 6.3."""
    limit = zipfile.ZIP64_LIMIT
    offset = central = count = 0
    for name, length in members:
        name_bytes = len(name.encode())
        large = _is_large(length)
        extra = (16 if length > limit else 0) + (8 if offset > limit else 0)
        central += _CENTRAL_HEADER + name_bytes + (extra + 4 if extra else 0)
        offset += _LOCAL_HEADER + name_bytes + length
        offset += (_LOCAL_EXTRA_64 + _DESCRIPTOR_64) if large else _DESCRIPTOR
        count += 1
    large = count > zipfile.ZIP_FILECOUNT_LIMIT or offset > limit or central > limit
    return offset + central + _END + (_END_64 if large else 0)


async def archive(
    members: AsyncGenerator[Member, None], executor: Executor, moment: datetime
) -> AsyncGenerator[Bytes, None]:
    """The bytes of an archive of these members; `moment` (UTC) is the time of each."""
    loop = asyncio.get_running_loop()
    sink = _Sink()
    moment = max(moment.replace(tzinfo=None), EARLIEST)
    async with aclosing(members):
        with zipfile.ZipFile(cast("IO[bytes]", sink), "w") as file:
            async for member in members:
                info = zipfile.ZipInfo(member.name, moment.timetuple()[:6])
                info.external_attr = 0o644 << 16
                with file.open(info, "w", force_zip64=_is_large(member.length)) as writer:
                    async with aclosing(member.content()) as content:
                        async for part in content:
                            if len(part) <= _INLINE_BYTES:
                                writer.write(part)
                            else:
                                await loop.run_in_executor(executor, writer.write, part)
                            del part
                            for written in sink.take():
                                yield written
                for written in sink.take():
                    yield written
    for written in sink.take():
        yield written


def _is_large(length: int) -> bool:
    return length > zipfile.ZIP64_LIMIT

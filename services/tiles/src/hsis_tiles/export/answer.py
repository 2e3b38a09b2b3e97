"""Answers of files that are laid out: one by itself, or several in an archive."""

import functools
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime

from hsis.clients.storage import StorageClient
from hsis.cube.reader import StoredCube
from hsis_tiles.cubes import CubeName
from hsis_tiles.export import zipped
from hsis_tiles.export.blocks import ExportFile
from hsis_tiles.export.stream import Bytes, content_of, first_bytes


@dataclass(frozen=True, slots=True)
class Export:
    """An answer: `content(start, stop)` makes its bytes, those from `start` on or up to `stop` only
    where it is `seekable`. `length` is None where it depends on how well values compress."""

    filename: str
    media_type: str
    length: int | None
    seekable: bool
    content: Callable[[int, int | None], AsyncGenerator[Bytes, None]]


def plain(
    file: ExportFile, cube: StoredCube | None, storage: StorageClient, executor: Executor
) -> Export:
    """The answer that is one file."""

    def content(start: int, stop: int | None) -> AsyncGenerator[Bytes, None]:
        made = content_of(file.pieces(), cube, storage, executor, skip=start)
        return made if stop is None else first_bytes(made, stop - start)

    return Export(file.name, file.media_type, file.length, True, content)


def archive_of(
    title: str,
    files: Sequence[ExportFile],
    name: CubeName,
    cube: StoredCube | None,
    storage: StorageClient,
    executor: Executor,
) -> Export:
    """The answer that is an archive of files, called `title`."""

    async def members() -> AsyncGenerator[zipped.Member, None]:
        for file in files:
            made = functools.partial(_content, file, cube, storage, executor)
            yield zipped.Member(file.name, file.length, made)

    sizes: Iterable[tuple[str, int]] = ((file.name, file.length) for file in files)
    return Export(
        title,
        zipped.MEDIA_TYPE,
        zipped.archive_length(sizes),
        False,
        lambda *_: zipped.archive(members(), executor, moment_of(name)),
    )


def _content(
    file: ExportFile, cube: StoredCube | None, storage: StorageClient, executor: Executor
) -> AsyncGenerator[Bytes, None]:
    return content_of(file.pieces(), cube, storage, executor)


def moment_of(name: CubeName) -> datetime:
    """When the item changed last: an export of the same state is the same bytes."""
    try:
        return datetime.fromisoformat(name.updated.replace("Z", "+00:00"))
    except ValueError:
        return zipped.EARLIEST

"""Fetching an export to disk: under its final name only when whole, going on where it broke."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from hsis.clients.base import problem_of
from hsis.clients.fetching import partial_file
from hsis.clients.tiles import ExportAnswer, TilesClient
from hsis.errors import Conflict, InvalidInput, Unavailable

RETRY_DELAYS_S = (0.5, 2.0, 5.0, 10.0)
Progress = Callable[[str, int, int | None], None]
"""Called with the file's name, the bytes that are there, and the length where it is known."""


@dataclass
class _Partial:
    """A file that is not whole yet."""

    file: BinaryIO
    path: Path
    count: int = 0
    etag: str | None = None


async def fetch_export(
    tiles: TilesClient,
    collection: str,
    item: str,
    query: Mapping[str, str],
    output: Path,
    *,
    on_progress: Progress | None = None,
) -> Path:
    """Fetch an export into the folder `output`, under the name that the server gives it, or as the
    file `output`. Conflict where that file is there already.

    Where the connection breaks it goes on from there if the format allows that, else from the
    start.
    """
    folder, name = await asyncio.to_thread(_place, output)
    with partial_file(folder, "export") as path, path.open("r+b") as file:
        partial = _Partial(file, path)
        delays = iter(RETRY_DELAYS_S)
        while True:
            before = partial.count
            try:
                async with tiles.export(
                    collection, item, query, start=partial.count, etag=partial.etag
                ) as answer:
                    target = folder / (name or answer.filename)
                    _check_absent(target)
                    await _receive(answer, partial, target.name, on_progress)
                break
            except Unavailable as error:
                if partial.count > before and partial.etag is not None:
                    delays = iter(RETRY_DELAYS_S)
                delay = next(delays, None)
                if delay is None or not _is_passing(error):
                    raise
            await asyncio.sleep(delay)
        await asyncio.to_thread(_give_name, partial, target)
    return target


def _place(output: Path) -> tuple[Path, str | None]:
    """The folder of the file, and its name where it is given."""
    if output.is_dir():
        return output, None
    if not output.parent.is_dir():
        raise InvalidInput(f"There is no folder {output.parent}.")
    _check_absent(output)
    return output.parent, output.name


async def _receive(
    answer: ExportAnswer, partial: _Partial, title: str, on_progress: Progress | None
) -> None:
    if answer.start != partial.count:  # the whole of it comes again
        partial.count = 0
        partial.file.seek(0)
        partial.file.truncate()
    partial.etag = answer.etag
    async for piece in answer.pieces:
        await asyncio.to_thread(partial.file.write, piece)
        partial.count += len(piece)
        if on_progress is not None:
            on_progress(title, partial.count, answer.length)
    if answer.length is not None and partial.count != answer.length:
        raise Unavailable(f"{title} ended after {partial.count} of {answer.length} bytes.")


def _is_passing(error: Unavailable) -> bool:
    """Whether another time it may be different: no answer came, or one that says so."""
    problem = problem_of(error)
    return problem is None or problem.status in {502, 503, 504}


def _check_absent(target: Path) -> None:
    if target.exists():
        raise Conflict(f"{target} is there already; another --output is right.")


def _give_name(partial: _Partial, target: Path) -> None:
    partial.file.flush()
    _check_absent(target)
    partial.path.rename(target)

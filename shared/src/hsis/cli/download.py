"""`hsis download`."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress, TaskID

from hsis.cli.output import byte_progress
from hsis.cli.session import Session, execute, fail
from hsis.clients.fetching import Expected, fetch_prefix, fetch_verified, original_blobs
from hsis.contracts.blobs import cube_prefix, statistics_key, thumbnail_key
from hsis.errors import Conflict, NotFound


class Asset(StrEnum):
    """What of an item to download."""

    ORIGINAL = "original"
    CUBE = "cube"
    THUMBNAIL = "thumbnail"
    STATISTICS = "statistics"


def download(
    collection: str,
    item: str,
    output: Annotated[Path, typer.Option(file_okay=False, help="Folder; made if absent.")] = Path(),
    asset: Annotated[Asset, typer.Option(help="The cube is a Zarr folder.")] = Asset.ORIGINAL,
) -> None:
    """Download the original files (SHA-256 verified), the stored cube or what goes with it.

    A file appears under its name once it is whole. One that is there already and differs stays.
    """
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        fail(f"{output} cannot be made: {error.strerror}.")
    execute(lambda session: _download(session, collection, item, output, asset))


async def _download(
    session: Session, collection: str, item: str, output: Path, asset: Asset
) -> None:
    document = await session.catalog.item(collection, item)
    if asset is Asset.CUBE:
        typer.echo(await _cube(session, collection, item, output))
        return
    if asset is Asset.ORIGINAL:
        wanted = original_blobs(document)
        if not wanted:
            raise NotFound(
                f"{collection}/{item} has no original files: it was computed, not uploaded. "
                "`--asset cube` gets its values."
            )
    elif asset is Asset.THUMBNAIL:
        wanted = [Expected(thumbnail_key(collection, item), f"{item}.webp")]
    else:
        wanted = [Expected(statistics_key(collection, item), f"{item}.statistics.json")]
    with byte_progress() as progress:
        for expected in wanted:
            task = progress.add_task(expected.filename, total=expected.size)
            await fetch_verified(
                session.storage,
                expected,
                output,
                on_progress=_shower(progress, task),
            )
    for expected in wanted:
        typer.echo(output / expected.filename)


def _shower(progress: Progress, task: TaskID) -> Callable[[int], None]:
    return lambda count: progress.update(task, completed=count)


async def _cube(session: Session, collection: str, item: str, output: Path) -> Path:
    target = output / f"{item}.zarr"
    if target.exists():
        raise Conflict(f"{target} is there already; another --output is right.")
    with _partial_folder(target) as partial, byte_progress() as progress:
        task = progress.add_task(target.name, total=None)
        await fetch_prefix(
            session.storage,
            cube_prefix(collection, item),
            partial,
            on_progress=lambda count, total: progress.update(task, completed=count, total=total),
        )
    return target


@contextmanager
def _partial_folder(target: Path) -> Iterator[Path]:
    """A hidden folder beside `target` that gets its name at the end, or is removed on an error."""
    partial = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}-"))
    try:
        yield partial
        partial.chmod(0o755)
        partial.rename(target)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise

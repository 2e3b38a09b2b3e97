"""`hsis download`."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress, TaskID

from hsis.cli.output import byte_progress
from hsis.cli.session import Session, execute, fail
from hsis.clients.fetching import (
    Expected,
    fetch_prefix,
    fetch_verified,
    original_blobs,
    partial_path,
)
from hsis.clients.fetching_exports import fetch_export
from hsis.contracts.blobs import cube_prefix, statistics_key, thumbnail_key
from hsis.contracts.exports import ArrayAxes, BboxCrs, ExportFormat, Interleave
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
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder, made if absent; a file with --format.")
    ] = Path(),
    asset: Annotated[Asset, typer.Option(help="The cube is a Zarr folder.")] = Asset.ORIGINAL,
    format: Annotated[
        ExportFormat | None, typer.Option(help="The cube in this format instead.")
    ] = None,
    bands: Annotated[
        str | None, typer.Option(help="Numbers from 1 and ranges, `10:50,60`; or `good`.")
    ] = None,
    window: Annotated[str | None, typer.Option(help="`x0,y0,x1,y1` in pixels.")] = None,
    bbox: Annotated[str | None, typer.Option(help="`west,south,east,north`.")] = None,
    bbox_crs: Annotated[
        BboxCrs | None, typer.Option(help="What --bbox is in: the cube's own, or degrees.")
    ] = None,
    interleave: Annotated[Interleave | None, typer.Option(help="Of --format envi.")] = None,
    axes: Annotated[ArrayAxes | None, typer.Option(help="Of --format npy and mat.")] = None,
) -> None:
    """Download the original files (SHA-256 verified), the stored cube or what goes with it; or,
    with --format, the cube or a part of it as a file of another format.

    A file appears under its name once it is whole. One that is there already and differs stays.
    """
    query = {
        name: str(value)
        for name, value in (
            ("format", format),
            ("bands", bands),
            ("window", window),
            ("bbox", bbox),
            ("bbox_crs", bbox_crs),
            ("interleave", interleave),
            ("axes", axes),
        )
        if value is not None
    }
    if query:
        if format is None:
            raise typer.BadParameter(f"--{next(iter(query))} needs --format.".replace("_", "-"))
        execute(lambda session: _export(session, collection, item, output, query))
        return
    if output.is_file():
        raise typer.BadParameter(f"{output} is a file; a folder is right without --format.")
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


async def _export(
    session: Session, collection: str, item: str, output: Path, query: dict[str, str]
) -> None:
    with byte_progress() as progress:
        task = progress.add_task(item, total=None)
        path = await fetch_export(
            session.tiles,
            collection,
            item,
            query,
            output,
            on_progress=lambda name, count, total: progress.update(
                task, description=name, completed=count, total=total
            ),
        )
    typer.echo(path)


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
    partial = partial_path(target.parent, target.name)
    partial.mkdir()
    try:
        yield partial
        partial.rename(target)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise

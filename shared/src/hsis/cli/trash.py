"""`hsis trash`: deleted items that can still be restored."""

from contextlib import suppress
from typing import Annotated
from uuid import UUID

import typer
from pydantic import ValidationError

from hsis.cli.output import print_json, print_rows
from hsis.cli.said import told
from hsis.cli.session import EXIT_USAGE, Session, execute, fail
from hsis.clients.base import problem_of
from hsis.contracts.trash import RestoreRequest, TrashEntry
from hsis.contracts.uploads import Upload
from hsis.errors import Conflict, NotFound

app = typer.Typer(
    help="Deleted items, kept for a while.", no_args_is_help=True, rich_markup_mode=None
)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Entry = Annotated[str, typer.Argument(help="Of the list; or an item's id: the last one deleted.")]


@app.command("list")
def list_(collection: str, as_json: AsJson = False) -> None:
    """What is in a collection's trash, the last deleted first."""

    async def show(session: Session) -> None:
        page = await session.catalog.trash(collection)
        entries = page.entries
        while page.entries and len(entries) < page.total:
            page = await session.catalog.trash(collection, after=entries[-1].id)
            entries += page.entries
        if as_json:
            print_json({"entries": [entry.model_dump(mode="json") for entry in entries]})
            return
        print_rows(
            ["entry", "item", "deleted by", "deleted", "until"],
            (
                (
                    entry.id,
                    entry.item,
                    entry.deleted_by,
                    entry.deleted_at.isoformat(timespec="seconds"),
                    entry.expires_at.isoformat(timespec="seconds"),
                )
                for entry in entries
            ),
        )

    execute(show)


@app.command()
def restore(
    collection: str,
    entry: Entry,
    item: Annotated[
        str | None,
        typer.Option("--id", help="Another id; its original files are converted again."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Bring a deleted item back; waits where its files have to be converted again."""

    async def bring_back(session: Session) -> None:
        found = await _find(session, collection, entry)
        name = item or found.item
        if not await _restored_as_it_was(session, found, item):
            try:
                wanted = RestoreRequest(collection=collection, entry=found.id, id=item)
            except ValidationError as error:
                fail(told(error), EXIT_USAGE)
            upload = await _converted(session, await session.ingest.restore(wanted))
            if upload.error is not None:
                raise Conflict(upload.error.detail)
        if as_json:
            print_json(await session.catalog.item(collection, name))
            return
        typer.echo(f"{collection}/{name} restored")

    execute(bring_back)


@app.command()
def purge(
    collection: str,
    entry: Annotated[str | None, typer.Argument(help="As for restore.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Empty the trash.")] = False,
) -> None:
    """Remove a deleted item for good, or all of them. For owners of the collection."""
    if (entry is None) != everything:
        fail("Give an entry, or --all.", EXIT_USAGE)

    async def remove(session: Session) -> None:
        if entry is None:
            await session.catalog.purge(collection)
            typer.echo(f"the trash of {collection} is empty")
            return
        found = await _find(session, collection, entry)
        await session.catalog.purge(collection, found.id)
        typer.echo(f"{collection}/{found.item} purged")

    execute(remove)


async def _find(session: Session, collection: str, name: str) -> TrashEntry:
    with suppress(ValueError):
        return await session.catalog.trash_entry(collection, UUID(name))
    entries = (await session.catalog.trash(collection, item=name)).entries
    if not entries:
        raise NotFound(f"The trash of {collection!r} has no item {name!r}.")
    return entries[0]


async def _restored_as_it_was(session: Session, entry: TrashEntry, item: str | None) -> bool:
    if item is not None or not entry.cube_kept:
        return False
    try:
        await session.catalog.restore(entry.collection, entry.id)
    except Conflict as error:
        problem = problem_of(error)
        if problem is not None and problem.slug == "restore-conflict":
            raise Conflict(f"{error.detail} `--id` is right here.") from error
        raise
    return True


async def _converted(session: Session, upload: Upload) -> Upload:
    async for current in session.ingest.wait(upload.id):
        upload = current
    return upload

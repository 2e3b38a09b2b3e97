"""`hsis scrub`: whether everything that is stored is as it was stored."""

from contextlib import aclosing
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from hsis.cli.output import print_json
from hsis.cli.said import told
from hsis.cli.session import EXIT_ERROR, EXIT_USAGE, Session, execute, fail
from hsis.contracts.scrub import ScrubbedItem, ScrubRequest, ScrubSummary

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def scrub(
    collection: Annotated[str | None, typer.Option(help="Else all, for administrators.")] = None,
    item: Annotated[str | None, typer.Option(help="Only this one of the collection.")] = None,
    as_json: AsJson = False,
) -> None:
    """Read everything that is stored, that in the trash too, and name what is damaged, missing or
    unexpected.

    Exit code 1 where anything is. For owners of the collection.
    """
    if item is not None and collection is None:
        fail("--item needs --collection.", EXIT_USAGE)
    try:
        request = ScrubRequest(collection=collection, item=item)
    except ValidationError as error:
        fail(told(error), EXIT_USAGE)
    execute(lambda session: _scrub(session, request, as_json=as_json))


async def _scrub(session: Session, request: ScrubRequest, *, as_json: bool) -> None:
    items: list[dict[str, Any]] = []
    faults = 0
    async with aclosing(session.ingest.scrub(request)) as lines:
        async for line in lines:
            if isinstance(line, ScrubSummary):
                faults = line.faults
                if as_json:
                    print_json({"items": items, "summary": line.model_dump(mode="json")})
                else:
                    _print_summary(line)
            elif isinstance(line, ScrubbedItem):
                if as_json:
                    items.append(line.model_dump(mode="json"))
                else:
                    _print_item(line)
    if faults:
        raise typer.Exit(EXIT_ERROR)


def _print_item(line: ScrubbedItem) -> None:
    where = f" (in the trash: {line.item}, entry {line.trash_entry})" if line.trash_entry else ""
    for fault in line.faults:
        typer.echo(f"{fault.kind}\t{fault.key}\t{fault.detail}{where}")
    if not line.verified:
        told = f"{line.collection}/{line.item}\tno checksums of its cube are kept"
        typer.echo(f"unverified\t{told}{where}")


def _print_summary(line: ScrubSummary) -> None:
    typer.echo(
        f"{line.items} items"
        + (f" ({line.trash_entries} of them in the trash)" if line.trash_entries else "")
        + f", {line.objects} objects, {line.bytes} bytes read: "
        + (f"{line.faults} faults" if line.faults else "all as it was stored")
        + (f"; {line.unverified_items} items unverified" if line.unverified_items else "")
    )

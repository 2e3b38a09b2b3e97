"""`hsis sweep`: what is stored for nothing, and what is not stored that should be."""

from contextlib import aclosing
from typing import Annotated, Any

import typer

from hsis.cli.output import print_json
from hsis.cli.session import EXIT_ERROR, Session, execute
from hsis.contracts.sweep import MAX_PREFIXES, IncompleteItem, Orphan, SweepSummary

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def sweep(
    remove: Annotated[
        bool, typer.Option("--remove", help="Remove the orphans of the report, never an item.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Report objects that nothing known needs, and items whose objects are missing.

    Exit code 1 where there are such items. For administrators.
    """
    execute(lambda session: _sweep(session, remove=remove, as_json=as_json))


async def _sweep(session: Session, *, remove: bool, as_json: bool) -> None:
    orphans: list[Orphan] = []
    incomplete: list[IncompleteItem] = []
    told: dict[str, Any] = {}
    async with aclosing(session.ingest.sweep()) as lines:
        async for line in lines:
            if isinstance(line, Orphan):
                orphans.append(line)
            elif isinstance(line, IncompleteItem):
                incomplete.append(line)
            elif isinstance(line, SweepSummary):
                told = {"summary": line.model_dump(mode="json")}
    if not as_json:
        _print(orphans, incomplete)
    told["orphans"] = [orphan.model_dump(mode="json") for orphan in orphans]
    told["incomplete"] = [item.model_dump(mode="json") for item in incomplete]
    told |= await _remove(session, [o.prefix for o in orphans], as_json) if remove else {}
    if as_json:
        print_json(told)
    if incomplete:
        raise typer.Exit(EXIT_ERROR)


async def _remove(session: Session, prefixes: list[str], as_json: bool) -> dict[str, Any]:
    removed: list[str] = []
    kept: list[dict[str, str]] = []
    for first in range(0, len(prefixes), MAX_PREFIXES):
        answer = await session.ingest.remove_orphans(prefixes[first : first + MAX_PREFIXES])
        removed += answer.removed
        kept += [each.model_dump() for each in answer.kept]
    if not as_json:
        typer.echo(f"{len(removed)} removed, {len(kept)} kept")
        for each in kept:
            typer.echo(f"kept\t{each['prefix']}\t{each['reason']}")
    return {"removed": removed, "kept": kept}


def _print(orphans: list[Orphan], incomplete: list[IncompleteItem]) -> None:
    for orphan in orphans:
        typer.echo(f"orphan\t{orphan.prefix}\t{orphan.objects} objects, {orphan.bytes} bytes")
    for item in incomplete:
        for key in item.missing:
            typer.echo(f"missing\t{item.collection}/{item.item}\t{key}")
    typer.echo(
        f"{len(orphans)} orphans, {sum(orphan.bytes for orphan in orphans)} bytes; "
        f"{len(incomplete)} items are not whole"
    )

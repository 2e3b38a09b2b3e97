"""`hsis correct` and `hsis template`: what is known of cubes that are stored, or will be."""

from typing import Annotated, Any

import typer

from hsis.cli.output import print_json, print_rows
from hsis.cli.said import takes_metadata
from hsis.cli.session import EXIT_USAGE, Session, execute, fail
from hsis.contracts.metadata import CubeMetadata
from hsis.errors import NotFound

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
template_app = typer.Typer(
    help="What is said of every cube of a collection that neither its files nor its uploader say.",
    no_args_is_help=True,
)


@takes_metadata
def correct(
    collection: str,
    item: str,
    unset: Annotated[
        list[str] | None,
        typer.Option(help="A field that is to be nothing, such as `fwhm`; may be repeated."),
    ] = None,
    as_json: AsJson = False,
    said: CubeMetadata | None = None,
) -> None:
    """Correct what is known of a stored cube, or show it where no option says anything.

    The values stay as they are; the item and the stored cube say the new metadata alike.
    """
    changes: dict[str, Any] = {} if said is None else said.said()
    for name in unset or []:
        if name not in CubeMetadata.model_fields:
            fail(f"--unset {name}: one of {', '.join(CubeMetadata.model_fields)}.", EXIT_USAGE)
        if name in changes:
            fail(f"{name} is both given and unset; one of them is right.", EXIT_USAGE)
        changes[name] = None
    execute(lambda session: _correct(session, collection, item, changes, as_json=as_json))


async def _correct(
    session: Session, collection: str, item: str, changes: dict[str, Any], *, as_json: bool
) -> None:
    if changes:
        known = await session.ingest.correct(collection, item, changes)
    else:
        known = await session.ingest.metadata(collection, item)
    if as_json:
        print_json(known.model_dump(mode="json", exclude_none=True))
        return
    _print(known.metadata, known.sources)
    for entry in known.corrections:
        fields = ", ".join(entry.after)
        typer.echo(f"{entry.at:%Y-%m-%d %H:%M:%S} {entry.by} corrected {fields}")


@template_app.command("show")
def show(collection: str, as_json: AsJson = False) -> None:
    """Print a collection's template."""
    execute(lambda session: _show(session, collection, as_json=as_json))


@template_app.command("set")
@takes_metadata
def set_template(
    collection: str, as_json: AsJson = False, said: CubeMetadata | None = None
) -> None:
    """Set a collection's template in place of any before; for conversions from now on."""
    if said is None:
        fail("Nothing is said; `hsis template remove` removes a template.", EXIT_USAGE)

    async def put(session: Session) -> None:
        await session.catalog.set_template(collection, said)
        _tell(said, as_json=as_json)

    execute(put)


@template_app.command("remove")
def remove(collection: str) -> None:
    """Remove a collection's template; items keep what they had of it."""

    async def delete(session: Session) -> None:
        await session.catalog.remove_template(collection)
        typer.echo(f"{collection} has no template now")

    execute(delete)


async def _show(session: Session, collection: str, *, as_json: bool) -> None:
    found = await session.catalog.template(collection)
    if found is None:
        raise NotFound(f"The collection {collection!r} has no template, or cannot be seen.")
    _tell(found, as_json=as_json)


def _tell(template: CubeMetadata, *, as_json: bool) -> None:
    if as_json:
        print_json(template.said())
    else:
        _print(template.said(), {})


def _print(known: dict[str, Any], sources: dict[str, str]) -> None:
    rows = []
    for name, value in known.items():
        text = str(value)
        shown = text if len(text) <= 60 else f"{text[:50]}… ({len(value)})"
        rows.append((name, shown, sources.get(name, "")))
    print_rows(("field", "value", "from"), rows)

"""`hsis labels`: class rasters of a stored cube, such as ground truth."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from hsis.cli.companions import with_companions
from hsis.cli.output import print_json, print_rows
from hsis.cli.session import EXIT_USAGE, Session, execute, fail
from hsis.contracts.ids import id_from_filename
from hsis.contracts.labels import LabelRequest
from hsis.errors import InvalidInput, fault_told

READ_BYTES = 1024 * 1024
PREFIX = "labels-"

app = typer.Typer(
    help="Class rasters of a stored cube, such as ground truth.", no_args_is_help=True
)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("add")
def add(
    collection: str,
    item: str,
    files: Annotated[
        list[Path],
        typer.Argument(
            exists=True,
            dir_okay=False,
            readable=True,
            help="ENVI classification, GeoTIFF, MATLAB or .npy of the cube's rows and columns.",
        ),
    ],
    name: Annotated[str | None, typer.Option(help="Of the labels; else of the file.")] = None,
    axes: Annotated[str | None, typer.Option(help="Of an array; `yx` by default.")] = None,
    variable: Annotated[str | None, typer.Option(help="Of a file that holds several.")] = None,
    class_names: Annotated[
        str | None, typer.Option(help="Of the values 1, 2, …, with commas between them.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Attach a class raster to a cube. 0, or the file's value for no data, is unlabelled."""
    try:
        paths = with_companions(files)
        data = next((path for path in paths if path.suffix.lower() != ".hdr"), paths[0])
        folder = f"raw/{collection}/{PREFIX}{uuid.uuid4().hex}/"
        request = LabelRequest(
            name=name or id_from_filename(data.name),
            files=[folder + path.name for path in paths],
            axes=axes,
            variable=variable,
            class_names=class_names.split(",") if class_names else None,
        )
    except InvalidInput as error:
        fail(error.detail, EXIT_USAGE)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"])
        fail(f"{where} {fault['input']!r}: {fault_told(fault)}", EXIT_USAGE)
    execute(lambda session: _add(session, collection, item, request, paths, as_json))


@app.command("list")
def list_(collection: str, item: str, as_json: AsJson = False) -> None:
    """The label maps of a cube."""

    async def show(session: Session) -> None:
        assets = (await session.catalog.item(collection, item))["assets"]
        found = {
            key.removeprefix(PREFIX): asset
            for key, asset in assets.items()
            if "labels" in asset.get("roles", ())
        }
        if as_json:
            print_json(found)
            return
        rows = ((key, len(_classes(asset)), asset["href"]) for key, asset in found.items())
        print_rows(["labels", "classes", "href"], rows)

    execute(show)


def _classes(asset: dict[str, Any]) -> list[Any]:
    """Those of a label map but what stands for unlabelled."""
    return [each for each in asset.get("classification:classes", ()) if not each.get("nodata")]


@app.command("remove")
def remove(collection: str, item: str, name: str) -> None:
    """Take a label map off a cube."""

    async def take_off(session: Session) -> None:
        await session.ingest.remove_labels(collection, item, name)
        typer.echo(f"{collection}/{item} has no labels {name} now")

    execute(take_off)


async def _add(
    session: Session,
    collection: str,
    item: str,
    request: LabelRequest,
    paths: list[Path],
    as_json: bool,
) -> None:
    try:
        for key, path in zip(request.files, paths, strict=True):
            await session.storage.put(key, _content(path))
        made = await session.ingest.add_labels(collection, item, request)
    finally:
        for key in request.files:
            await session.storage.delete(key)
    if as_json:
        print_json(made.model_dump(mode="json"))
        return
    typer.echo(f"{collection}/{item} has labels {made.name}: {made.href}")
    rows = ((each.value, each.title, each.pixels) for each in made.classes)
    print_rows(["value", "class", "pixels"], rows)


async def _content(path: Path) -> AsyncIterator[bytes]:
    file = await asyncio.to_thread(path.open, "rb")
    with file:
        while piece := await asyncio.to_thread(file.read, READ_BYTES):
            yield piece

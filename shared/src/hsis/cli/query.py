"""Commands that read: search, spectrum, collections, processes; and delete."""

import json
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Annotated, Any

import typer

from hsis.cli.output import print_json, print_rows
from hsis.cli.session import EXIT_USAGE, Session, execute, fail

PAGE_ITEMS = 100
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def search(
    collection: Annotated[list[str] | None, typer.Option(help="May be repeated.")] = None,
    bbox: Annotated[
        str | None, typer.Option(help="west,south,east,north in degrees (WGS 84)")
    ] = None,
    intersects: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="A file with a GeoJSON geometry or feature"),
    ] = None,
    datetime: Annotated[
        str | None, typer.Option(help="An RFC 3339 time, or a range with `/` and `..`")
    ] = None,
    item: Annotated[list[str] | None, typer.Option("--id", help="May be repeated.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Items at most; all if absent.")] = None,
    as_json: AsJson = False,
) -> None:
    """Find items by collection, place, time and id."""
    query: dict[str, Any] = {"limit": min(limit or PAGE_ITEMS, PAGE_ITEMS)}
    if collection:
        query["collections"] = collection
    if bbox is not None:
        query["bbox"] = _bbox(bbox)
    if intersects is not None:
        query["intersects"] = _geometry(intersects)
    if datetime is not None:
        query["datetime"] = datetime
    if item:
        query["ids"] = item
    execute(lambda session: _search(session, query, limit, as_json=as_json))


def _bbox(text: str) -> Sequence[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in {4, 6}:
        fail(f"--bbox {text!r}: west,south,east,north is right.", EXIT_USAGE)
    return numbers


def _geometry(file: Path) -> Any:
    try:
        document = json.loads(file.read_bytes())
    except ValueError as error:
        fail(f"{file} is no JSON: {error}.", EXIT_USAGE)
    return document.get("geometry", document) if isinstance(document, dict) else document


async def _search(
    session: Session, query: dict[str, Any], limit: int | None, *, as_json: bool
) -> None:
    found: list[dict[str, Any]] = []
    async with aclosing(session.catalog.search_all(query)) as items:
        async for item in items:
            found.append(item)
            if limit is not None and len(found) >= limit:
                break
    if as_json:
        print_json({"type": "FeatureCollection", "features": found})
        return
    print_rows(
        ["collection", "item", "datetime", "bands"],
        (
            (
                item["collection"],
                item["id"],
                item["properties"].get("datetime"),
                item["properties"].get("hsi:band_count"),
            )
            for item in found
        ),
    )


def spectrum(
    collection: str,
    item: str,
    x: Annotated[int, typer.Argument(min=0, help="Column from the left, from 0.")],
    y: Annotated[int, typer.Argument(min=0, help="Row from the top, from 0.")],
    as_json: AsJson = False,
) -> None:
    """The spectrum of one pixel; (0, 0) is the upper left one."""

    async def show(session: Session) -> None:
        pixel = await session.tiles.spectrum(collection, item, x, y)
        if as_json:
            print_json(pixel.model_dump(mode="json"))
            return
        wavelengths: Sequence[float | None] = pixel.wavelengths_nm or [None] * len(pixel.values)
        print_rows(
            ["band", "wavelength (nm)", f"value ({pixel.unit})" if pixel.unit else "value"],
            zip(range(1, len(pixel.values) + 1), wavelengths, pixel.values, strict=True),
        )

    execute(show)


def collections(as_json: AsJson = False) -> None:
    """The collections that you can see."""

    async def show(session: Session) -> None:
        found = await session.catalog.collections()
        if as_json:
            print_json({"collections": found})
            return
        print_rows(["collection", "title"], ((each["id"], each.get("title")) for each in found))

    execute(show)


def processes(as_json: AsJson = False) -> None:
    """The processes that `hsis run` can run."""

    async def show(session: Session) -> None:
        found = await session.processing.processes()
        if as_json:
            print_json({"processes": found})
            return
        print_rows(["process", "title"], ((each["id"], each.get("title")) for each in found))

    execute(show)


def delete(collection: str, item: str) -> None:
    """Delete an item. `hsis trash restore` brings it back for a while; then everything that is
    stored for it is removed, its original files too."""

    async def remove(session: Session) -> None:
        await session.catalog.delete_item(collection, item)
        typer.echo(f"{collection}/{item} deleted")

    execute(remove)

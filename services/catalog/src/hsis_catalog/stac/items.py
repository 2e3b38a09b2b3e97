"""STAC Items as they come in, checked and made ready to be stored."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from hsis.contracts.ids import ID_PATTERN
from hsis_catalog.errors import InvalidDocument
from hsis_catalog.stac.boxes import Box, box_of
from hsis_catalog.stac.documents import (
    STAC_VERSION,
    Document,
    instant,
    require_id,
    require_type,
    stored_assets,
    stored_links,
)
from hsis_catalog.stac.geometries import geometry_of

_STORED_PREFIX = re.compile(r"/blobs/((?:raw|cubes)/([^/]+)/[^/]+/)")


@dataclass(frozen=True, slots=True)
class StoredSize:
    """How many bytes are stored for an asset: its path under /blobs/, and the prefix that goes with
    its item."""

    path: str
    prefix: str
    bytes: int


@dataclass(frozen=True, slots=True)
class NewItem:
    """An item to store; times are inclusive, `summary` is the document without bands."""

    collection: str
    id: str
    document: Document
    summary: Document
    starts_at: datetime
    ends_at: datetime
    footprint: Box | None
    stored_prefixes: list[str]


def item_of(document: Document, collection: str, origin: str) -> NewItem:
    """The item to store for a document; InvalidDocument names the member that is wrong."""
    require_type(document, "Feature")
    given = document.get("collection", collection)
    if given != collection:
        raise InvalidDocument(f"collection is {given!r}; the path says {collection!r}.")
    starts_at, ends_at = _times(document)
    kept = document | {
        "stac_version": document.get("stac_version", STAC_VERSION),
        "id": require_id(document),
        "collection": collection,
        "geometry": document.get("geometry"),
        "links": stored_links(document, origin),
        "assets": stored_assets(document, origin),
    }
    return NewItem(
        collection=collection,
        id=kept["id"],
        document=kept,
        summary=kept | {"assets": without_bands(kept["assets"])},
        starts_at=starts_at,
        ends_at=ends_at,
        footprint=_footprint(document),
        stored_prefixes=stored_prefixes(kept),
    )


def without_bands(assets: dict[str, Any]) -> dict[str, Any]:
    """The assets as lists show them: a cube has hundreds of bands."""
    return {
        name: {key: value for key, value in asset.items() if key != "bands"}
        for name, asset in assets.items()
    }


def stored_prefixes(document: Document) -> list[str]:
    """Where the item's files lie: `raw/<collection>/<upload>/`, `cubes/<collection>/<item>/`.

    An href into another collection is not believed: whoever may write here may neither remove
    there nor keep others from it.
    """
    hrefs = (asset["href"] for asset in document["assets"].values())
    found = (_STORED_PREFIX.match(href) for href in hrefs)
    return sorted({match[1] for match in found if match and match[2] == document["collection"]})


def stored_sizes(document: Document, names: Collection[str] | None = None) -> list[StoredSize]:
    """Of the assets that say their size (`file:size`) and lie under the item's stored prefixes;
    only of those of these names, where they are given."""
    found = []
    for name, asset in document["assets"].items():
        if names is not None and name not in names:
            continue
        match, size = _STORED_PREFIX.match(asset["href"]), asset.get("file:size")
        if match and match[2] == document["collection"] and type(size) is int and size >= 0:
            found.append(StoredSize(asset["href"].removeprefix("/blobs/"), match[1], size))
    return found


def removable_prefixes(document: Document) -> list[str]:
    """What may go with the item: files that an upload has stored, and cubes."""
    return [prefix for prefix in stored_prefixes(document) if _is_ours(*prefix.split("/")[::2])]


def _is_ours(kind: str, name: str) -> bool:
    """Whether ingest made `raw/…/<name>/` or `cubes/…/<name>/`; others are their users'."""
    if kind == "cubes":
        return re.fullmatch(ID_PATTERN, name) is not None
    try:
        return str(UUID(name)) == name
    except ValueError:
        return False


def _times(document: Document) -> tuple[datetime, datetime]:
    properties = document.get("properties")
    if not isinstance(properties, dict):
        raise InvalidDocument("properties must be an object.")
    moment = properties.get("datetime")
    try:
        if moment is None:
            first = instant(properties.get("start_datetime"), "properties.start_datetime")
            last = instant(properties.get("end_datetime"), "properties.end_datetime")
        else:
            first = last = instant(moment, "properties.datetime")
    except ValueError as error:
        raise InvalidDocument(str(error)) from None
    if first > last:
        raise InvalidDocument("properties.start_datetime is after end_datetime.")
    return first, last


def _footprint(document: Document) -> Box | None:
    geometry = document.get("geometry")
    if geometry is None:
        return None
    try:
        geometry_of(geometry, "geometry")
        return box_of(document.get("bbox"), "bbox (needed with a geometry)")
    except ValueError as error:
        raise InvalidDocument(str(error)) from None

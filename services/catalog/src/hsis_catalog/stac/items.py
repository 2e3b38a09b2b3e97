"""STAC Items as they come in, checked and made ready to be stored."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hsis.contracts.blobs import collection_of_key
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
    )


def without_bands(assets: dict[str, Any]) -> dict[str, Any]:
    """The assets as lists show them: a cube has hundreds of bands."""
    return {
        name: {key: value for key, value in asset.items() if key != "bands"}
        for name, asset in assets.items()
    }


def raw_prefixes(document: Document) -> list[str]:
    """Where the item's original files lie: `raw/<collection>/<upload>/` of its own collection.

    An href into another collection is not believed: whoever may write here may not remove there.
    """
    found = set()
    for asset in document["assets"].values():
        key = asset["href"].removeprefix("/blobs/")
        parts = key.split("/")
        own = collection_of_key(key) == document["collection"]
        if key != asset["href"] and own and parts[0] == "raw" and len(parts) > 3:
            found.add("/".join(parts[:3]) + "/")
    return sorted(prefix for prefix in found if not prefix.endswith("//"))


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

"""STAC Collections as they come in."""

from hsis_catalog.errors import InvalidDocument
from hsis_catalog.stac.documents import (
    STAC_VERSION,
    Document,
    require_id,
    require_type,
    stored_assets,
    stored_links,
)

_EVERYWHERE = {
    "spatial": {"bbox": [[-180, -90, 180, 90]]},
    "temporal": {"interval": [[None, None]]},
}


def collection_of(document: Document, origin: str) -> Document:
    """The document to store; an absent description, license or extent gets a neutral one."""
    require_type({"type": "Collection"} | document, "Collection")
    made = {"description": document.get("id"), "license": "other", "extent": _EVERYWHERE}
    kept = made | document
    kept |= {
        "type": "Collection",
        "stac_version": document.get("stac_version", STAC_VERSION),
        "id": require_id(document),
        "links": stored_links(document, origin),
    }
    for name in ("description", "license"):
        if not isinstance(kept[name], str) or not kept[name]:
            raise InvalidDocument(f"{name} must be text.")
    extent = kept["extent"]
    if not isinstance(extent, dict) or not {"spatial", "temporal"} <= extent.keys():
        raise InvalidDocument("extent must be an object with spatial and temporal.")
    if "assets" in document:
        kept["assets"] = stored_assets(document, origin)
    return kept

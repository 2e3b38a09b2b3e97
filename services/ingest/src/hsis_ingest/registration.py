"""The STAC Item of a converted upload."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from hsis.cube.acquisition import item_properties
from hsis.cube.stac import ItemParts, item_document
from hsis_ingest.footprint import footprint
from hsis_ingest.formats.source import NO_PROPERTIES, Outline
from hsis_ingest.given import SOURCES_PROPERTY, Described, footprint_of
from hsis_ingest.rows import UploadRow

UPLOAD_PROPERTY = "hsi:upload"
SHA256_MULTIHASH = "1220"
"""Multihash prefix: SHA-256, 32 bytes."""
MEDIA_TYPES = {
    "tif": "image/tiff; application=geotiff",
    "tiff": "image/tiff; application=geotiff",
    "hdr": "text/plain",
    "mat": "application/x-matlab-data",
    "h5": "application/x-hdf5",
    "he5": "application/x-hdf5",
    "nc": "application/netcdf",
    "xml": "application/xml",
    "txt": "text/plain",
    "csv": "text/csv",
}


def item_of(
    upload: UploadRow,
    described: Described,
    format_name: str,
    outline: Outline | None = None,
    properties: Mapping[str, Any] = NO_PROPERTIES,
) -> dict[str, Any]:
    """The Item; the same for every attempt at the same upload."""
    info, known = described.info, described.acquisition
    said = {SOURCES_PROPERTY: dict(described.sources)} if described.sources else {}
    return item_document(
        ItemParts(
            collection=upload.collection,
            item=upload.item,
            info=info,
            footprint=footprint_of(known) or footprint(info, outline),
            acquired_at=known.acquired_at,
            created_at=upload.created_at,
            properties={
                UPLOAD_PROPERTY: str(upload.id),
                "hsi:source_format": format_name,
                **properties,
                **said,
                **item_properties(known),
            },
            assets=_originals(upload),
            extensions=("file", *_extensions(properties)),
        )
    )


def _extensions(properties: Mapping[str, Any]) -> list[str]:
    """Those of which a reader's properties are."""
    prefixes = {name.partition(":")[0] for name in properties}
    return [name for name in ("processing", "view") if name in prefixes]


def stored_assets(upload: UploadRow) -> list[str]:
    """The assets of the Item that this upload has stored, and that say their size."""
    return ["cube", *_originals(upload)]


def _originals(upload: UploadRow) -> dict[str, Any]:
    return {
        f"original-{number}": {
            "href": "/blobs/" + quote(upload.key_of(file), safe="/"),
            "type": MEDIA_TYPES.get(
                file.name.rpartition(".")[2].lower(), "application/octet-stream"
            ),
            "roles": ["source"],
            "title": file.name,
            "file:size": file.size,
            "file:checksum": f"{SHA256_MULTIHASH}{file.sha256}",
        }
        for number, file in enumerate(upload.files, start=1)
    }

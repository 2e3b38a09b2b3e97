"""The STAC Item of a converted upload."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

from hsis.contracts.blobs import raw_prefix
from hsis.cube.layout import CubeInfo
from hsis.cube.stac import ItemParts, item_document
from hsis_ingest.footprint import footprint
from hsis_ingest.formats.source import Outline
from hsis_ingest.rows import StoredFile, UploadRow

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
}


def item_of(
    upload: UploadRow,
    info: CubeInfo,
    acquired_at: datetime | None,
    format_name: str,
    outline: Outline | None = None,
) -> dict[str, Any]:
    """The Item; the same for every attempt at the same upload."""
    return item_document(
        ItemParts(
            collection=upload.collection,
            item=upload.item,
            info=info,
            footprint=footprint(info, outline),
            acquired_at=acquired_at,
            created_at=upload.created_at,
            properties={UPLOAD_PROPERTY: str(upload.id), "hsi:source_format": format_name},
            assets=_originals(upload.collection, str(upload.id), upload.files),
            extensions=("file",),
        )
    )


def _originals(collection: str, upload: str, files: Sequence[StoredFile]) -> dict[str, Any]:
    return {
        f"original-{number}": {
            "href": "/blobs/" + quote(raw_prefix(collection, upload) + file.name, safe="/"),
            "type": MEDIA_TYPES.get(
                file.name.rpartition(".")[2].lower(), "application/octet-stream"
            ),
            "roles": ["source"],
            "title": file.name,
            "file:size": file.size,
            "file:checksum": f"{SHA256_MULTIHASH}{file.sha256}",
        }
        for number, file in enumerate(files, start=1)
    }

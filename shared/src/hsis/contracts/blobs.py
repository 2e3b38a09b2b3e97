"""Keys in the object store and what storage-proxy says of a blob.

raw/<collection>/<upload>/<filename>     what was uploaded, untouched
raw/<collection>/<label map>/<name>.tif  class rasters of a cube
cubes/<collection>/<item>/cube.zarr/...  the stored cube
cubes/<collection>/<item>/statistics.json, thumbnail.webp, checksums.json
models/<model>/<version>/...
staging/transfers/<transfer>/...         of a resumable upload, what is not a file yet
"""

from datetime import datetime
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, Field


class Blob(BaseModel):
    """One stored object."""

    key: str
    size: int = Field(description="Bytes")
    etag: str = Field(description="Strong entity tag, in its quotes")
    last_modified: datetime | None = None
    content_type: str | None = None
    sha256: str | None = Field(
        default=None, description="In hexadecimal, where it was told with the bytes; not in lists"
    )


class BlobPage(BaseModel):
    """A page of a listing, in the order of the keys."""

    blobs: list[Blob]
    prefixes: list[str] = Field(
        default=[],
        description="With a delimiter: how the keys of blobs begin that lie deeper, up to and with "
        "the next `/`; each counts as one entry of the page",
    )
    next: str | None = Field(
        default=None, description="Give it as `after` for the next page; None at the end"
    )


def path_in(href: str) -> str:
    """The decoded path of an asset's or link's href; empty where it is no URL: any text may stand
    there."""
    try:
        return unquote(urlsplit(href).path)
    except ValueError:
        return ""


def raw_prefix(collection: str, upload: str) -> str:
    """Where an upload's original files lie."""
    return f"raw/{collection}/{upload}/"


def staging_prefix(transfer: str) -> str:
    """Where bytes lie that wait to become a part of an uploaded file."""
    return f"staging/transfers/{transfer}/"


def item_prefix(collection: str, item: str) -> str:
    """Where everything stored for an item lies, its originals excepted."""
    return f"cubes/{collection}/{item}/"


def cube_prefix(collection: str, item: str) -> str:
    """The root of the item's Zarr store."""
    return item_prefix(collection, item) + "cube.zarr/"


def statistics_key(collection: str, item: str) -> str:
    """The item's per-band statistics, a JSON object."""
    return item_prefix(collection, item) + "statistics.json"


def thumbnail_key(collection: str, item: str) -> str:
    """The item's thumbnail."""
    return item_prefix(collection, item) + "thumbnail.webp"


def checksums_key(collection: str, item: str) -> str:
    """SHA-256 of every other object under the item's prefix (hsis.cube.checksums)."""
    return item_prefix(collection, item) + "checksums.json"


def collection_of_key(key: str) -> str | None:
    """The collection whose permissions rule a key; None for `models/` and anything else."""
    parts = key.split("/", 2)
    if len(parts) == 3 and parts[0] in {"raw", "cubes"} and parts[1]:
        return parts[1]
    return None


class PartsUpload(BaseModel):
    """A blob that is being made of parts; it is not visible yet."""

    upload: str


class Part(BaseModel):
    """One part as it is stored."""

    etag: str

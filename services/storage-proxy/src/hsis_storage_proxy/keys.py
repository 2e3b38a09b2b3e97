"""Which keys there can be."""

import unicodedata

from hsis.contracts.blobs import collection_of_key
from hsis.errors import InvalidInput

MAX_KEY_BYTES = 1024
MAX_SEGMENT_BYTES = 255
"""What a file system, and so most S3 servers, takes as one name."""
KINDS = ("raw", "cubes", "models")
COLLECTION_KINDS = ("raw", "cubes")
RESERVED = ("openapi.json",)
# Names that rclone keeps for its unfinished objects and hides in listings.
RESERVED_STARTS = (".rclone_temp_", ".rclone_multipart_upload_")


def check_key(key: str, *, privileged: bool) -> None:
    """InvalidInput unless an object may have this key.

    `privileged` callers (services, administrators) may use first segments other than `raw`,
    `cubes` and `models`.
    """
    _check_characters(key)
    segments = key.split("/")
    for segment in segments:
        _check_segment(segment, key)
    if segments[0] in RESERVED:
        raise InvalidInput(f"The key {key!r} is reserved for the service itself.")
    if segments[0] not in KINDS and not privileged:
        raise InvalidInput(f"A key begins with raw/, cubes/ or models/; {key!r} does not.")
    if segments[0] in COLLECTION_KINDS and collection_of_key(key) is None:
        raise InvalidInput(f"A key is {segments[0]}/<collection>/<name>…; {key!r} is not.")


def check_prefix(prefix: str) -> None:
    """InvalidInput unless keys can begin with this (the empty prefix is every key)."""
    _check_characters(prefix)
    segments = prefix.split("/")
    for segment in segments[:-1]:
        _check_segment(segment, prefix)


def check_removable_prefix(prefix: str) -> None:
    """InvalidInput unless all under the prefix may be removed at once: `a/b/c/` or deeper."""
    check_prefix(prefix)
    parts = prefix.split("/")
    if not prefix.endswith("/") or len(parts) - 1 < 3:
        raise InvalidInput(
            f"The prefix {prefix!r} must end in '/' and have 3 parts or more, "
            "such as cubes/<collection>/<item>/."
        )


def _check_characters(key: str) -> None:
    if key.isascii() and key.isprintable() and len(key) <= MAX_KEY_BYTES:
        return  # as almost all keys are, and quick to see
    if len(key.encode("utf-8", "surrogatepass")) > MAX_KEY_BYTES:
        raise InvalidInput(f"A key has at most {MAX_KEY_BYTES} bytes in UTF-8.")
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in key):
        raise InvalidInput(f"The key {key!r} has control characters.")


def _check_segment(segment: str, key: str) -> None:
    if segment in {"", ".", ".."}:
        raise InvalidInput(
            f"The key {key!r} has the part {segment!r}: a key has no leading, trailing or double "
            "slash and no '.' or '..'."
        )
    if len(segment.encode()) > MAX_SEGMENT_BYTES:
        raise InvalidInput(f"A part of a key has at most {MAX_SEGMENT_BYTES} bytes in UTF-8.")
    if segment.startswith(RESERVED_STARTS):
        raise InvalidInput(f"The key {key!r} has a part that begins with a reserved name.")

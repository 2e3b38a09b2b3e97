"""Undoing the compression of Zarr chunks: no more memory than the chunk's values need."""

import bz2
import zlib
from collections.abc import Mapping
from typing import Any

import numcodecs
from numcodecs import blosc

from hsis_ingest.errors import DecompressionBomb, TruncatedFile, UnsupportedFormat

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
SAME_SIZE = frozenset({"shuffle", "fletcher32", "crc32", "crc32c", "adler32"})
"""Codecs of numcodecs whose output is about as long as their input."""
CHECKSUM_BYTES = 4
COMPRESSIONS = frozenset({"blosc", "zstd", "lz4", "gzip", "zlib", "bz2"})


def check_codec(codec: Mapping[str, Any], where: str) -> None:
    """UnsupportedFormat for a codec (`id` is its name) that is not read."""
    if codec["id"] not in COMPRESSIONS | SAME_SIZE:
        known = ", ".join(sorted(COMPRESSIONS | SAME_SIZE))
        raise UnsupportedFormat(
            f"{where} is encoded by {str(codec['id'])[:40]!r}, which is not read; {known} are."
        )


def decoded(codec: Mapping[str, Any], content: bytes, largest: int, where: str) -> bytes:
    """What `codec` has encoded. DecompressionBomb for more than `largest` bytes, TruncatedFile for
    what is damaged."""
    name = codec["id"]
    try:
        size = _declared(name, content, where)
        if size is not None and size > largest:
            raise _too_large(where, largest)
        found: Any
        if name == "blosc":
            found = blosc.decompress(content)
        elif name in {"gzip", "zlib"}:
            found = zlib.decompressobj(31 if name == "gzip" else 15).decompress(
                content, largest + 1
            )
        elif name == "bz2":
            found = bz2.BZ2Decompressor().decompress(content, largest + 1)
        else:
            found = numcodecs.get_codec(dict(codec)).decode(content)
    except (ValueError, RuntimeError, TypeError, OSError, EOFError, zlib.error) as error:
        raise TruncatedFile(f"{where} is damaged: {error}.") from error
    result = bytes(memoryview(found).cast("B"))
    if len(result) > largest:
        raise _too_large(where, largest)
    return result


def _declared(name: str, content: bytes, where: str) -> int | None:
    """The size that the encoded bytes say, for codecs that trust it."""
    if name == "blosc":
        if len(content) < 16 or int.from_bytes(content[12:16], "little") != len(content):
            raise ValueError("no whole Blosc buffer")
        return int.from_bytes(content[4:8], "little")
    if name == "lz4":
        return int.from_bytes(content[:4], "little")
    return _zstd_size(content, where) if name == "zstd" else None


def _zstd_size(content: bytes, where: str) -> int:
    """The content size in the header of a Zstandard frame (RFC 8878, 3.1.1.1)."""
    if content[:4] != ZSTD_MAGIC or len(content) < 6:
        raise ValueError("no Zstandard frame")
    descriptor = content[4]
    single = descriptor >> 5 & 1
    width = (single, 2, 4, 8)[descriptor >> 6]
    if not width:
        raise UnsupportedFormat(
            f"{where} is a Zstandard frame that does not say its size; one that does is read."
        )
    start = 5 + (1 - single) + (0, 1, 2, 4)[descriptor & 3]
    size = int.from_bytes(content[start : start + width], "little")
    return size + 256 if width == 2 else size


def _too_large(where: str, largest: int) -> DecompressionBomb:
    return DecompressionBomb(f"{where} is more than the {largest} bytes that its values take.")

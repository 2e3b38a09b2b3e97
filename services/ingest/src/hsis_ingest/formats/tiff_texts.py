"""The texts of a TIFF file in UTF-8, the only ones that rasterio takes: an item of another one it
leaves out, or raises UnicodeDecodeError."""

import re
import struct
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from hsis.texts import decoded, unescaped
from hsis_ingest.errors import HeaderMismatch
from hsis_ingest.formats.source import ByteSource, Span, read_exactly
from hsis_ingest.formats.tiff_directories import GDAL_METADATA, GEO_ASCII, first_directory

_ESCAPED = re.compile("[\udc80-\udcff]")


def with_texts_in_utf8(data: ByteSource) -> ByteSource:
    """The file, with the metadata for GDAL of its first image and the names of its CRS in UTF-8:
    behind its end where they are not, so that all else stays where it is.

    HeaderMismatch where there is no room for them, at 4 GiB; else as `first_directory`.
    """
    replaced: list[tuple[int, bytes]] = []
    more = b""
    for tag, text in first_directory(data).texts.items():
        stored = read_exactly(data, *text.span)
        content = _IN_UTF8[tag](stored)
        if content == stored:
            continue
        try:
            replaced.append(text.pointing_to((data.size + len(more), len(content))))
        except struct.error:
            raise HeaderMismatch(
                f"{data.name}: the metadata for GDAL (names and units of bands, tags) hold bytes "
                "that are no UTF-8; UTF-8 is right in a TIFF of 4 GiB, or a BigTIFF."
            ) from None
        more += content
    return _Changed(data, [*replaced, (data.size, more)]) if replaced else data


def _metadata(stored: bytes) -> bytes:
    return decoded(stored).encode()


def _geo_ascii(stored: bytes) -> bytes:
    """Another tag says where each name begins: one byte takes the place of each, a letter without
    its accent or a question mark."""
    return _ESCAPED.sub(_plain, stored.decode("utf-8", "surrogateescape")).encode()


def _plain(byte: re.Match[str]) -> str:
    letter = unicodedata.normalize("NFKD", unescaped(byte[0]))[0]
    return letter if letter.isascii() else "?"


_IN_UTF8 = {GDAL_METADATA: _metadata, GEO_ASCII: _geo_ascii}


class _Changed:
    """A file with other bytes at some offsets, of which the last may lie behind its end."""

    def __init__(self, source: ByteSource, replaced: Sequence[tuple[int, bytes]]) -> None:
        self._source = source
        self._replaced = replaced
        self.name = source.name
        self.size = max(source.size, *(at + len(content) for at, content in replaced))

    def read_at(self, offset: int, length: int) -> bytes:
        """`length` bytes from `offset`, fewer at the end of the file."""
        end = max(offset, min(offset + length, self.size))
        stored = self._source.read_at(offset, length)
        content = bytearray(stored).ljust(end - offset, b"\0")
        for at, new in self._replaced:
            first, last = max(at, offset), min(at + len(new), end)
            if first < last:
                content[first - offset : last - offset] = new[first - at : last - at]
        return bytes(content)

    def read_ahead(self, spans: Iterable[Span]) -> Iterator[bytes]:
        """The bytes of each span in turn."""
        return (self.read_at(*span) for span in spans)

"""The members of a zip file, read by ranges of it."""

import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence

from hsis_ingest.errors import DecompressionBomb, TruncatedFile, UnsupportedFormat
from hsis_ingest.formats.source import (
    ByteSource,
    RangeFile,
    ReadOptions,
    Span,
    read_exactly,
)
from hsis_ingest.formats.spans import read_spans

MAGICS = (b"PK\x03\x04", b"PK\x05\x06")
LOCAL = struct.Struct("<4s5H3I2H")
"""A member's own header; its name, what is extra and the content follow."""
EXTRA_GUESSED = 64
"""Bytes of extra fields that are fetched with a member: seldom are there more."""
END = b"PK\x05\x06"
END64 = b"PK\x06\x06"
MAX_END_BYTES = 65_535 + 22 + 20 + 56
"""A comment, the end record, and those of zip64 before it."""
BYTES_OF_ENTRY = 46
MAX_NAME_BYTES = 1024


class ZipMembers:
    """The members of a zip file by their names; stored or deflated ones can be read.

    DecompressionBomb for more members than options.zarr_max_members, TruncatedFile for a file that
    is damaged.
    """

    def __init__(self, data: ByteSource, options: ReadOptions) -> None:
        self._data = data
        self._max_bytes = options.max_chunk_bytes
        _check_directory(data, options.zarr_max_members)
        file = RangeFile(data)
        try:
            with zipfile.ZipFile(file) as archive:
                self._members = {
                    member.filename: member
                    for member in archive.infolist()
                    if not member.filename.endswith("/")
                }
        except (
            zipfile.BadZipFile,
            NotImplementedError,
            ValueError,
            struct.error,
        ) as error:
            raise (file.error or TruncatedFile(f"{data.name} is a damaged zip file.")) from error

    def __contains__(self, name: str) -> bool:
        return name in self._members

    @property
    def names(self) -> Sequence[str]:
        """All of them."""
        return list(self._members)

    def stored_bytes(self, names: Sequence[str]) -> int:
        """How much of the file these members take."""
        return sum(self._members[name].compress_size for name in names)

    def contents(self, names: Sequence[str]) -> Iterator[bytes]:
        """The content of each of the members in turn. Sorted by `position`, neighbours become one
        request. DecompressionBomb for one larger than options.max_chunk_bytes."""
        members = [self._checked(name) for name in names]
        spans = [self._rough_span(member) for member in members]
        for member, raw in zip(members, read_spans(self._data, spans), strict=True):
            start = self._content_start(member, raw)
            content = raw[start : start + member.compress_size]
            if len(content) < member.compress_size:  # more extra fields than guessed
                content = read_exactly(
                    self._data, member.header_offset + start, member.compress_size
                )
            yield self._inflated(member, content)

    def position(self, name: str) -> int:
        """Where the member lies in the file."""
        return self._members[name].header_offset

    def span(self, name: str) -> Span | None:
        """Offset and length of a stored member's content; None for a compressed one."""
        member = self._members[name]
        if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1:
            return None
        header = read_exactly(self._data, member.header_offset, LOCAL.size)
        return member.header_offset + self._content_start(member, header), member.file_size

    def _checked(self, name: str) -> zipfile.ZipInfo:
        member = self._members[name]
        where = f"{self._data.name}: {name}"
        if member.flag_bits & 1 or member.compress_type not in (
            zipfile.ZIP_STORED,
            zipfile.ZIP_DEFLATED,
        ):
            raise UnsupportedFormat(f"{where} is encrypted, or compressed otherwise than deflated.")
        if max(member.file_size, member.compress_size) > self._max_bytes:
            raise DecompressionBomb(
                f"{where} has {member.file_size} bytes; at most {self._max_bytes} are decoded at "
                "once (setting max_chunk_bytes)."
            )
        return member

    def _rough_span(self, member: zipfile.ZipInfo) -> Span:
        length = LOCAL.size + MAX_NAME_BYTES + EXTRA_GUESSED + member.compress_size
        name = len(member.orig_filename.encode("utf-8", "replace"))
        if name < MAX_NAME_BYTES:
            length += name - MAX_NAME_BYTES
        return member.header_offset, min(length, self._data.size - member.header_offset)

    def _content_start(self, member: zipfile.ZipInfo, raw: bytes) -> int:
        if len(raw) < LOCAL.size or raw[:4] != b"PK\x03\x04":
            raise TruncatedFile(f"{self._data.name}: the member {member.filename} is damaged.")
        *_, name_bytes, extra_bytes = LOCAL.unpack_from(raw)
        return LOCAL.size + int(name_bytes) + int(extra_bytes)

    def _inflated(self, member: zipfile.ZipInfo, content: bytes) -> bytes:
        where = f"{self._data.name}: {member.filename}"
        if member.compress_type == zipfile.ZIP_DEFLATED:
            inflater = zlib.decompressobj(-15)
            try:
                content = inflater.decompress(content, member.file_size + 1)
            except zlib.error as error:
                raise TruncatedFile(f"{where} is damaged: {error}.") from error
        if len(content) != member.file_size or zlib.crc32(content) != member.CRC:
            raise TruncatedFile(f"{where} is damaged: it is not what its checksum says.")
        return content


def _check_directory(data: ByteSource, max_members: int) -> None:
    """The directory is read at once: so it is looked at first how long it says that it is."""
    tail = data.read_at(max(0, data.size - MAX_END_BYTES), MAX_END_BYTES)
    at = tail.rfind(END)
    if at < 0 or len(tail) < at + 22:
        raise TruncatedFile(f"{data.name} is a damaged zip file: its end is missing.")
    count, size = struct.unpack_from("<HI", tail, at + 10)
    wide = tail.rfind(END64, 0, at)
    if wide >= 0 and len(tail) >= wide + 48:
        count, size = struct.unpack_from("<QQ", tail, wide + 32)
    if count > max_members or size > max_members * (BYTES_OF_ENTRY + MAX_NAME_BYTES):
        raise DecompressionBomb(
            f"{data.name} has {count} members in a directory of {size} bytes; at most "
            f"{max_members} members are read (setting zarr_max_members)."
        )

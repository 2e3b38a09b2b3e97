"""Tar archives, also compressed by gzip: read from their beginning, block by block.

Python's own `tarfile` reads extended headers of any size into memory; here they have a limit.
"""

import gzip
import io
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO

from hsis.digits import natural
from hsis_ingest.archives.members import Checks, Content, Limits, Member
from hsis_ingest.errors import TruncatedFile, UnsafeArchive, UnsupportedFormat
from hsis_ingest.formats.source import ByteSource, RangeFile

BLOCK = tarfile.BLOCKSIZE
READ_BYTES = 1024 * 1024
MAX_EXTENDED_BYTES = 256 * 1024
"""Of a header that only extends the next one."""
GZIP_MAGIC = b"\x1f\x8b\x08"
LINKS = frozenset({tarfile.LNKTYPE, tarfile.SYMTYPE})
FILES = frozenset({tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE})


@dataclass(slots=True)
class _Entry:
    """A header: a file or a folder, and how many bytes of content follow it."""

    name: str
    size: int
    is_file: bool


class TarArchive:
    """See members.Archive. The whole archive is read once to check it."""

    def __init__(self, source: ByteSource, limits: Limits) -> None:
        self._source = source
        checks = Checks(source.name, source.size, limits)
        members = []
        for entry, _ in self._walk(checks):
            if entry.is_file:
                members.append(checks.take(entry.name, entry.size))
            else:
                checks.check_folder(entry.name)
        self.members: Sequence[Member] = members

    def contents(self, wanted: frozenset[PurePosixPath]) -> Iterator[tuple[Member, Content]]:
        """See members.Archive."""
        files = iter(self.members)
        for entry, content in self._walk(None):
            if entry.is_file:
                member = next(files)
                if member.path in wanted:
                    yield member, content

    def _walk(self, checks: Checks | None) -> Iterator[tuple[_Entry, "_Bounded"]]:
        stream = _opened(self._source)
        try:
            yield from _entries(stream, self._source.name, checks)
        except (EOFError, zlib.error, gzip.BadGzipFile, tarfile.HeaderError) as error:
            raise TruncatedFile(f"{self._source.name} is a damaged tar file.") from error


def is_tar(source: ByteSource) -> bool:
    """Whether the file is a tar archive, compressed by gzip or not."""
    try:
        block = _opened(source).read(BLOCK)
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (EOFError, zlib.error, gzip.BadGzipFile, tarfile.HeaderError):
        return False
    return True


def _opened(source: ByteSource) -> IO[bytes]:
    plain = io.BufferedReader(RangeFile(source), READ_BYTES)
    if source.read_at(0, len(GZIP_MAGIC)) == GZIP_MAGIC:
        return gzip.GzipFile(fileobj=plain)  # type: ignore[return-value]
    return plain


def _entries(
    stream: IO[bytes], archive: str, checks: Checks | None
) -> Iterator[tuple[_Entry, "_Bounded"]]:
    extended: dict[str, str] = {}
    while any(block := stream.read(BLOCK)):
        info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        if checks is not None:
            checks.count()
        if info.size < 0:
            raise UnsafeArchive(f"{archive}: a member has less than no bytes.")
        if info.type in {tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME,
                         tarfile.GNUTYPE_LONGLINK}:  # fmt: skip
            extended |= _extension(stream, info, archive)
            continue
        entry = _entry_of(info, extended, archive)
        extended = {}
        content = _Bounded(stream, entry.size, f"{archive}: {entry.name[:200]}")
        yield entry, content
        content.skip(-entry.size % BLOCK)


def _extension(stream: IO[bytes], info: tarfile.TarInfo, archive: str) -> dict[str, str]:
    """What a header says of the next one: its `path` and `size` where it does."""
    if info.size > MAX_EXTENDED_BYTES:
        raise UnsafeArchive(f"{archive}: an extended header has {info.size} bytes.")
    content = _Bounded(stream, info.size, archive)
    raw = content.read(info.size)
    content.skip(-info.size % BLOCK)
    if info.type == tarfile.GNUTYPE_LONGNAME:
        return {"path": raw.rstrip(b"\0").decode("utf-8", "surrogateescape")}
    return _records(raw, archive) if info.type == tarfile.XHDTYPE else {}


def _records(raw: bytes, archive: str) -> dict[str, str]:
    """The records `<length> <key>=<value>\\n` of a pax header."""
    found: dict[str, str] = {}
    while raw.strip(b"\0"):
        digits, space, _ = raw[:12].partition(b" ")
        length = int(digits) if space and digits.isdigit() else 0
        key, equals, value = raw[len(digits) + 1 : max(0, length - 1)].partition(b"=")
        if not equals or length > len(raw):
            raise TruncatedFile(f"{archive}: a pax header is damaged.")
        found[key.decode("utf-8", "replace")] = value.decode("utf-8", "surrogateescape")
        raw = raw[length:]
    return found


def _entry_of(info: tarfile.TarInfo, extended: dict[str, str], archive: str) -> _Entry:
    name, size = extended.get("path", info.name), extended.get("size", str(info.size))
    where = f"{archive}: {name[:200]!r}"
    if info.type in LINKS:
        raise UnsafeArchive(f"{where} is a link, and no file.")
    if info.type == tarfile.GNUTYPE_SPARSE or any(key.startswith("GNU.sparse") for key in extended):
        raise UnsupportedFormat(f"{where} is a sparse file; one stored in full is right.")
    if info.type not in FILES and info.type != tarfile.DIRTYPE:
        raise UnsafeArchive(f"{where} is a device, or something else that is no file.")
    count = natural(size)
    if count is None or (info.type == tarfile.DIRTYPE and count):
        raise UnsafeArchive(f"{where} has {size[:40]} bytes, which cannot be.")
    return _Entry(name, count, info.type in FILES)


class _Bounded:
    """The next `size` bytes of a stream; TruncatedFile where it ends before."""

    def __init__(self, stream: IO[bytes], size: int, where: str) -> None:
        self._stream = stream
        self._left = size
        self._where = where

    def read(self, size: int, /) -> bytes:
        """See members.Content."""
        wanted = min(size, self._left)
        try:
            content = self._stream.read(wanted) if wanted else b""
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise TruncatedFile(f"{self._where} is damaged.") from error
        if wanted and not content:
            raise TruncatedFile(f"{self._where} ends before its {self._left} last bytes.")
        self._left -= len(content)
        return content

    def skip(self, more: int) -> None:
        """Pass over what is left, and over `more` bytes of padding."""
        if self._left and self._stream.seekable() and not isinstance(self._stream, gzip.GzipFile):
            self._stream.seek(self._left, io.SEEK_CUR)
            self._left = 0
        while self._left:
            self.read(READ_BYTES)
        if more and len(self._stream.read(more)) < more:
            raise TruncatedFile(f"{self._where} ends in its padding.")

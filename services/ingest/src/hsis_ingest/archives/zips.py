"""Zip archives. The directory at their end is read, then each member by ranges."""

import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from hsis_ingest.archives.members import Checks, Content, Limits, Member
from hsis_ingest.errors import (
    ArchiveTooLarge,
    EncryptedArchive,
    TruncatedFile,
    UnsafeArchive,
    UnsupportedFormat,
)
from hsis_ingest.formats.source import ByteSource, RangeFile

MAGICS = (b"PK\x03\x04", b"PK\x05\x06")
LOCAL_HEADER_BYTES = 30
DIRECTORY_BYTES_EACH = 512
"""Of the directory for each member that is allowed: it is read at once."""
METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
"""Those that `zipfile` decompresses no further than it is asked to: of bzip2 it takes all that is
in the bytes it has read, and 100 of them may hold gigabytes."""
ZARR_DOCUMENTS = frozenset({"zarr.json", ".zgroup", ".zarray"})
DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, UnicodeDecodeError)


class _DirectoryFile(RangeFile):
    """Reads no more at once than the directory may have."""

    def __init__(self, source: ByteSource, max_bytes: int) -> None:
        super().__init__(source)
        self._max_bytes = max_bytes

    def read(self, size: int = -1, /) -> bytes:
        if size > self._max_bytes:
            raise ArchiveTooLarge(
                f"The directory of the archive has {size} bytes: more members than the setting "
                "archive_max_members allows."
            )
        return super().read(size)


class ZipArchive:
    """See members.Archive. `is_zarr` says that it is a Zarr store, and no archive of scenes."""

    def __init__(self, source: ByteSource, limits: Limits) -> None:
        self._name = source.name
        size = max(1024**2, limits.max_members * DIRECTORY_BYTES_EACH)
        file = _DirectoryFile(source, size)
        try:
            self._zip = zipfile.ZipFile(file)
        except (*DAMAGE, ValueError, NotImplementedError) as error:
            raise file.error or TruncatedFile(f"{self._name} is a damaged zip file.") from error
        infos = self._zip.infolist()
        names = {info.filename.rpartition("/")[2] for info in infos}
        self.is_zarr = not names.isdisjoint(ZARR_DOCUMENTS)
        self._infos: dict[PurePosixPath, zipfile.ZipInfo] = {}
        self.members: Sequence[Member] = ()
        if not self.is_zarr:
            self.members = self._checked(infos, Checks(self._name, source.size, limits))

    def contents(self, wanted: frozenset[PurePosixPath]) -> Iterator[tuple[Member, Content]]:
        """See members.Archive."""
        for member in self.members:
            if member.path in wanted:
                where = f"{self._name}: {member.path}"
                try:
                    content = self._zip.open(self._infos[member.path])
                except (*DAMAGE, NotImplementedError, RuntimeError) as error:
                    raise TruncatedFile(f"{where} is damaged: {error}.") from error
                with content:
                    yield member, _Checked(content, where)

    def _checked(self, infos: Sequence[zipfile.ZipInfo], checks: Checks) -> list[Member]:
        members = []
        for info in infos:
            checks.count()
            checks.check_folder(info.orig_filename)
            self._check_kind(info)
            if info.filename.endswith("/"):  # not is_dir, which fails where there is no name
                continue
            member = checks.take(info.orig_filename, info.file_size)
            self._infos[member.path] = info
            members.append(member)
        self._check_places(infos)
        return members

    def _check_kind(self, info: zipfile.ZipInfo) -> None:
        where = f"{self._name}: {info.filename[:200]!r}"
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
            raise UnsafeArchive(f"{where} is a link or a device, and no file.")
        if info.flag_bits & 0x1:
            raise EncryptedArchive(f"{where} is encrypted; an archive without a password is right.")
        if info.compress_type not in METHODS:
            raise UnsupportedFormat(
                f"{where} is compressed by method {info.compress_type}; deflate is right."
            )

    def _check_places(self, infos: Sequence[zipfile.ZipInfo]) -> None:
        """No two members may share bytes: that is how a small archive becomes endless files."""
        end = 0
        for info in sorted(infos, key=lambda info: info.header_offset):
            if info.header_offset < end:
                raise UnsafeArchive(f"{self._name}: its members overlap.")
            end = info.header_offset + LOCAL_HEADER_BYTES + info.compress_size
        if end > self._zip.start_dir:
            raise UnsafeArchive(f"{self._name}: a member overlaps the directory.")


class _Checked:
    """A member's bytes; TruncatedFile where they are not what the archive says."""

    def __init__(self, content: Content, where: str) -> None:
        self._content = content
        self._where = where

    def read(self, size: int, /) -> bytes:
        """See members.Content."""
        try:
            return self._content.read(size)
        except DAMAGE as error:
            raise TruncatedFile(f"{self._where} is damaged: {error}.") from error

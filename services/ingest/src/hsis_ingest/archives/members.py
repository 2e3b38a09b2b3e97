"""What an archive holds, and what no archive may hold."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Protocol

from hsis_ingest.errors import ArchiveTooLarge, NestedArchive, UnsafeArchive

MAX_NAME = 255
ALWAYS_ALLOWED_BYTES = 16 * 1024**2
"""So much may come out of an archive whatever its ratio: plain values shrink a lot."""
ARCHIVE_SUFFIXES = frozenset(
    {".zip", ".tar", ".tgz", ".gz", ".bz2", ".tbz2", ".xz", ".txz", ".7z", ".rar", ".zst"}
)
ARCHIVE_MAGICS = (b"PK\x03\x04", b"\x1f\x8b\x08", b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07")
DRIVE = re.compile(r"^[A-Za-z]:")


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive; its size in bytes is what the archive says."""

    path: PurePosixPath
    size: int


@dataclass(frozen=True, slots=True)
class Limits:
    """Settings: files and folders, bytes of all files, and their ratio to the archive's own."""

    max_members: int
    max_bytes: int
    max_ratio: float


class Content(Protocol):
    """A member's bytes, read once from their beginning."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""
        ...


class Archive(Protocol):
    """An archive whose every member was checked."""

    @property
    def members(self) -> Sequence[Member]:
        """Its files, in its own order."""
        ...

    def contents(self, wanted: frozenset[PurePosixPath]) -> Iterator[tuple[Member, Content]]:
        """The wanted members with their bytes, which are to be read before the next one's."""
        ...


class Checks:
    """Looks at each member of an archive as it is found."""

    def __init__(self, archive: str, archive_bytes: int, limits: Limits) -> None:
        self._archive = archive
        self._archive_bytes = archive_bytes
        self._limits = limits
        self._count = 0
        self._total = 0
        self._seen: set[str] = set()

    def count(self) -> None:
        """One more file, folder or header; ArchiveTooLarge over the setting."""
        self._count += 1
        if self._count > self._limits.max_members:
            raise ArchiveTooLarge(
                f"{self._archive} has more than {self._limits.max_members} members "
                "(setting archive_max_members)."
            )

    def take(self, name: str, size: int) -> Member:
        """A file as a member. UnsafeArchive, NestedArchive or ArchiveTooLarge."""
        path = self.path(name)
        if path.suffix.lower() in ARCHIVE_SUFFIXES:
            raise NestedArchive(
                f"{self._archive} has the archive {path} in it; unpack it, or upload it by itself."
            )
        if str(path) in self._seen:
            raise UnsafeArchive(f"{self._archive} has two members called {path}.")
        self._seen.add(str(path))
        self._total += size
        limits = self._limits
        if self._total > limits.max_bytes:
            raise ArchiveTooLarge(
                f"The files of {self._archive} have more than {limits.max_bytes} bytes "
                "(setting max_upload_bytes)."
            )
        allowed = max(ALWAYS_ALLOWED_BYTES, self._archive_bytes * limits.max_ratio)
        if self._total > allowed:
            raise ArchiveTooLarge(
                f"The files of {self._archive} are more than {limits.max_ratio:g} times as large "
                "as it is (setting archive_max_ratio)."
            )
        return Member(path, size)

    def check_folder(self, name: str) -> None:
        """UnsafeArchive for the name of a folder that cannot be; the archive's own is `.`."""
        if PurePosixPath(name) != PurePosixPath("."):
            self.path(name)

    def path(self, name: str) -> PurePosixPath:
        """The name of a member as a path in the archive; UnsafeArchive where it cannot be one."""
        path = PurePosixPath(name)
        parts = [part for part in path.parts if part != "."]
        bad = not parts or path.is_absolute() or ".." in parts or DRIVE.match(name)
        if bad or "\\" in name or not name.isprintable() or max(map(len, parts)) > MAX_NAME:
            raise UnsafeArchive(
                f"{self._archive} has a member called {name[:200]!r}: relative names with `/` "
                "between folders, without `..`, are right."
            )
        return PurePosixPath(*parts)


def check_begin(archive: str, member: Member, begin: bytes) -> None:
    """NestedArchive where a member's first bytes, 262 where it has so many, are an archive's."""
    if begin.startswith(ARCHIVE_MAGICS) or begin[257:262] == b"ustar":
        raise NestedArchive(f"{archive} has an archive in it that is called {member.path}.")

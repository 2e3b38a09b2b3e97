"""Byte sources for readers under test, and windows of what they read."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from hsis_ingest.detect import open_source
from hsis_ingest.formats.source import ReadOptions, Source, Span


@dataclass
class MemoryFile:
    """A file in memory that counts what is read of it."""

    name: str
    content: bytes
    reads: list[tuple[int, int]] = field(default_factory=list)

    @property
    def size(self) -> int:
        return len(self.content)

    def read_at(self, offset: int, length: int) -> bytes:
        self.reads.append((offset, length))
        return self.content[offset : offset + length]

    def read_ahead(self, spans: Iterable[Span]) -> Iterator[bytes]:
        return (self.read_at(*span) for span in spans)


def file_of(path: Path) -> MemoryFile:
    """A file of the disk."""
    return MemoryFile(path.name, path.read_bytes())


def open_files(*paths: Path, **options: Any) -> Source:
    """The cube in these files of the disk."""
    return opened([file_of(path) for path in paths], **options)


OPEN: list[Source] = []
"""Sources that the test's end closes (tests/ingest/conftest.py)."""


def opened(files: list[MemoryFile], **options: Any) -> Source:
    """The cube in these files; closed when the test ends."""
    source = open_source(files, ReadOptions(**options))
    OPEN.append(source)
    return source


def whole(source: Source) -> NDArray[Any]:
    """All of a cube, shape (band, y, x)."""
    return source.read(*(slice(0, size) for size in source.info.shape))

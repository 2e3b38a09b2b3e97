"""A zlib stream inside a file, read by ranges of what it inflates to."""

import zlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from hsis_ingest.errors import TruncatedFile
from hsis_ingest.formats.source import ByteSource, Span

CHECKPOINTS = 512
"""At most: one takes about 42 KiB, zlib's window and tables."""
MIN_SPACING_BYTES = 1024 * 1024
NEAR_BYTES = 1024 * 1024
"""Of the stream, are read one piece after the other; only where inflating goes on are the next ones
requested ahead, which a read elsewhere would have to break off."""
REQUEST_BYTES = 256 * 1024
INPUT_BYTES = 16 * 1024
"""Given to zlib at once: a checkpoint lies between two such pieces."""
OUTPUT_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Checkpoint:
    """The state of zlib (`machine`, never used itself; None at the start) after `taken` bytes of
    the stream, when `position` bytes were inflated."""

    position: int
    taken: int
    machine: Any


class InflatedSource:
    """The `size` bytes that a stream at `start`, `length` bytes long, inflates to.

    Reads that follow each other go on inflating. On the way copies of zlib's state are kept, so
    that a read elsewhere inflates little more than itself. Reads come one at a time.
    """

    def __init__(self, source: ByteSource, start: int, length: int, size: int, head: bytes) -> None:
        self.name = source.name
        self.size = size
        self._source = source
        self._start = start
        self._length = length
        self._head = head
        self._spacing = max(MIN_SPACING_BYTES, size // CHECKPOINTS)
        self._checkpoints = [_Checkpoint(0, 0, None)]
        self.close()

    def read_at(self, offset: int, length: int) -> bytes:
        """`length` bytes from `offset`, fewer at the end."""
        end = min(offset + length, self.size)
        if end <= offset:
            return b""
        if end <= len(self._head):
            return self._head[offset:end]
        place = bisect_right(self._checkpoints, offset, key=lambda each: each.position) - 1
        nearest = self._checkpoints[place]
        if self._machine is None or not nearest.position <= self._position <= offset:
            self._go_to(nearest)
        for _ in self._inflate(offset - self._position):
            pass
        return b"".join(self._inflate(end - offset))

    def read_ahead(self, spans: Iterable[Span]) -> Iterator[bytes]:
        """The bytes of each span in turn; what they inflate from is on its way meanwhile."""
        return (self.read_at(*span) for span in spans)

    def close(self) -> None:
        """Let go of the checkpoints, and of what is on its way."""
        del self._checkpoints[1:]
        self._machine: Any = None
        self._pieces: Iterator[bytes] = iter(())

    def _go_to(self, checkpoint: _Checkpoint) -> None:
        self._position = checkpoint.position
        self._taken = checkpoint.taken
        machine = checkpoint.machine
        self._machine = zlib.decompressobj() if machine is None else machine.copy()
        self._left = b""
        self._pieces = self._pieces_from(checkpoint.taken)

    def _inflate(self, count: int) -> Iterator[bytes]:
        """The next `count` bytes, in pieces of bounded size."""
        while count > 0:
            found = self._step(min(count, OUTPUT_BYTES))
            self._position += len(found)
            count -= len(found)
            yield found

    def _step(self, most: int) -> bytes:
        """Some of the next bytes, 1 to `most` of them or none yet."""
        at_end = False
        if not self._left:
            self._remember()
            self._left = next(self._pieces, b"")
            self._taken += len(self._left)
            at_end = not self._left
        try:
            found: bytes = self._machine.decompress(self._left, most)
        except zlib.error as error:
            raise TruncatedFile(
                f"{self.name} has damaged compressed data before byte {self._start + self._taken}."
            ) from error
        self._left = self._machine.unconsumed_tail
        if not found and (at_end or self._machine.eof):
            raise TruncatedFile(f"{self.name} has compressed data that ends too soon.")
        return found

    def _remember(self) -> None:
        """Keep a checkpoint where the last one is far behind."""
        if self._position >= self._checkpoints[-1].position + self._spacing:
            copy = self._machine.copy()
            self._checkpoints.append(_Checkpoint(self._position, self._taken, copy))

    def _pieces_from(self, taken: int) -> Iterator[bytes]:
        far = min(self._length, taken + NEAR_BYTES)
        for at in range(taken, far, INPUT_BYTES):
            yield self._source.read_at(self._start + at, min(INPUT_BYTES, far - at))
        spans = (
            (self._start + at, min(REQUEST_BYTES, self._length - at))
            for at in range(far, self._length, REQUEST_BYTES)
        )
        for block in self._source.read_ahead(spans):
            for at in range(0, len(block), INPUT_BYTES):
                yield block[at : at + INPUT_BYTES]

"""What readers read from and what they are: byte ranges in, described windows of a cube out."""

import io
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from hsis.contracts.uploads import Calibration
from hsis.cube.layout import ZARR_DTYPES, CubeInfo
from hsis.runs import Runs
from hsis_ingest.errors import TruncatedFile, UnsupportedFormat
from hsis_ingest.formats.panels import WhitePanel

Span = tuple[int, int]
"""Offset and length in bytes."""
Target = tuple[int, Runs]
"""An offset, and where the bytes from there belong."""


Outline = tuple[tuple[float, float], ...]
"""The corners of a cube in degrees (longitude, latitude), WGS 84, around it; not closed."""


NO_PROPERTIES: Mapping[str, Any] = MappingProxyType({})


class ByteSource(Protocol):
    """A file that is read by ranges, from threads. `name` has no folder."""

    @property
    def name(self) -> str:
        """The file's name."""
        ...

    @property
    def size(self) -> int:
        """Bytes."""
        ...

    def read_at(self, offset: int, length: int) -> bytes:
        """`length` bytes from `offset`, fewer at the end of the file."""
        ...

    def read_ahead(self, spans: Iterable[Span]) -> Iterator[bytes]:
        """The bytes of each span in turn, while those of the next ones are on their way."""
        ...


@runtime_checkable
class FillingSource(ByteSource, Protocol):
    """One whose bytes come to where they belong without a copy."""

    def fill_ahead(self, targets: Iterable[Target]) -> Iterator[int]:
        """Fill each target in turn, while the next ones are on their way; how many bytes came,
        fewer at the end of the file."""
        ...


class Source(Protocol):
    """An opened cube. Reads come one at a time, from any thread.

    `info` is its description; the dtype is the native one.
    """

    info: CubeInfo

    @property
    def acquired_at(self) -> datetime | None:
        """When it was measured, with a time zone."""
        ...

    @property
    def format_name(self) -> str:
        """Such as `ENVI`."""
        ...

    @property
    def outline(self) -> Outline | None:
        """Where it lies, for one that has positions but no transform."""
        ...

    @property
    def properties(self) -> Mapping[str, Any]:
        """Further properties of the item, such as how its values were computed."""
        ...

    @property
    def axes(self) -> str:
        """The order of the values in the file, slowest first: windows are best cut along it."""
        ...

    def read(self, bands: slice, rows: slice, columns: slice) -> NDArray[Any]:
        """The values of a window (starts and stops given), shape (band, y, x), in any order in
        memory."""
        ...

    def close(self) -> None:
        """Let go of what reading needs."""
        ...


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What an uploader says about an array without names (see UploadRequest), and limits.

    `hdf5_check_cpu_s` is None where HDF5 files are opened without trying them before.
    """

    axes: str | None = None
    variable: str | None = None
    rows: int | None = None
    columns: int | None = None
    matlab_max_ratio: float = 250.0
    max_chunk_bytes: int = 128 * 1024**2
    max_expansion: float = 1000.0
    hdf5_max_objects: int = 10_000
    calibration: Calibration = Calibration.NONE
    panel: WhitePanel | None = None
    hdf5_check_cpu_s: float | None = None
    hdf5_check_memory_bytes: int = 2 * 1024**3
    tiff_max_images: int = 10_000
    zarr_max_members: int = 200_000


def read_exactly(source: ByteSource, offset: int, length: int) -> bytes:
    """`length` bytes from `offset`; TruncatedFile where the file ends before."""
    return _whole(source, (offset, length), source.read_at(offset, length))


def read_all_exactly(source: ByteSource, spans: Sequence[Span]) -> Iterator[bytes]:
    """The bytes of each span in turn, read ahead; TruncatedFile where the file ends before."""
    for span, content in zip(spans, source.read_ahead(spans), strict=True):
        yield _whole(source, span, content)


def fill_all_exactly(source: ByteSource, targets: Iterable[Target]) -> None:
    """Fill each target, in turn and read ahead; TruncatedFile where the file ends before."""
    begun: deque[Target] = deque()

    def noted() -> Iterator[Target]:
        for target in targets:
            begun.append(target)
            yield target

    if isinstance(source, FillingSource):
        filled = source.fill_ahead(noted())
    else:
        filled = (
            _copied(content, begun[0])
            for content in source.read_ahead((at, runs.length) for at, runs in noted())
        )
    for received in filled:
        offset, runs = begun.popleft()
        _require_whole(source, (offset, runs.length), received)


def _copied(content: bytes, target: Target) -> int:
    target[1].put(0, content)
    return len(content)


def _whole(source: ByteSource, span: Span, content: bytes) -> bytes:
    _require_whole(source, span, len(content))
    return content


def _require_whole(source: ByteSource, span: Span, received: int) -> None:
    offset, length = span
    if received != length:
        raise TruncatedFile(
            f"{source.name} ends at byte {offset + received}; "
            f"bytes up to {offset + length} are needed."
        )


def native_dtype(dtype: np.dtype[Any], where: str) -> np.dtype[Any]:
    """The dtype in the machine's byte order; UnsupportedFormat where a cube cannot have it."""
    native = dtype.newbyteorder("=")
    if native.name not in ZARR_DTYPES:
        raise UnsupportedFormat(
            f"{where} has values of type {dtype}, which cannot be stored; "
            f"one of {', '.join(sorted(ZARR_DTYPES))} can."
        )
    return native


def parse_time(text: str | None) -> datetime | None:
    """An ISO 8601 moment, UTC where it has no zone; None where there is none that can be read, or
    one outside of the years 1 to 9999 of UTC."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment


class RangeFile(io.RawIOBase):
    """A read-only file object over a ByteSource, for libraries that want one.

    Some swallow what a read raises: `error` keeps it.
    """

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._position = 0
        self.error: Exception | None = None

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """The position of the next read."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move the position; it may lie behind the end."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._source.size}
        self._position = max(0, base[whence] + offset)
        return self._position

    def readinto(self, buffer: Any, /) -> int:
        """Fill the buffer as far as the file reaches."""
        view = memoryview(buffer).cast("B")
        length = max(0, min(len(view), self._source.size - self._position))
        try:
            content = self._source.read_at(self._position, length) if length else b""
        except Exception as error:
            self.error = error
            raise
        view[: len(content)] = content
        self._position += len(content)
        return len(content)

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes, never more than the file has, whatever a header claims."""
        left = max(0, self._source.size - self._position)
        wanted = left if size is None or size < 0 else min(size, left)
        buffer = bytearray(wanted)
        return bytes(buffer[: self.readinto(buffer)])

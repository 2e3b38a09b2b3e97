"""One ByteSource as the only file that GDAL sees."""

import uuid
from typing import Any

from rasterio._err import CPLE_BaseError
from rasterio.abc import FileContainer
from rasterio.errors import CRSError, RasterioError

from hsis_ingest.formats.source import ByteSource, RangeFile

GDAL_ERRORS = (RasterioError, CRSError, CPLE_BaseError)
"""What rasterio raises: some of GDAL's own errors come through as they are."""


class QuietRangeFile(RangeFile):
    """Ends early instead of raising: an exception has no way through GDAL. `error` keeps it."""

    def readinto(self, buffer: Any, /) -> int:
        """Fill the buffer as far as the file reaches; 0 after an error."""
        if self.error is not None:
            return 0
        try:
            return super().readinto(buffer)
        except Exception as error:
            self.error = error
            return 0


class SingleFile(FileContainer):  # type: ignore[misc]
    """An opener for rasterio: holds `source` under a path of its own, and nothing beside it."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self.path = f"{uuid.uuid4().hex}/data"
        self.files: list[QuietRangeFile] = []

    @property
    def error(self) -> Exception | None:
        """What the source raised, if it did."""
        return next((file.error for file in self.files if file.error is not None), None)

    def open(self, path: str, mode: str = "r", **_: Any) -> QuietRangeFile:  # noqa: ARG002
        """The file; FileNotFoundError for any other path."""
        if path != self.path:
            raise FileNotFoundError(path)
        file = QuietRangeFile(self._source)
        self.files.append(file)
        return file

    def isdir(self, path: str) -> bool:  # noqa: ARG002 - rasterio's interface
        """There is no folder."""
        return False

    def isfile(self, path: str) -> bool:
        """Whether it is the one file."""
        return path == self.path

    def ls(self, path: str) -> list[str]:  # noqa: ARG002
        """Nothing lies beside it."""
        return []

    def mtime(self, path: str) -> int:  # noqa: ARG002
        """Unknown."""
        return 0

    def rm(self, path: str) -> None:
        """It cannot be removed."""
        raise PermissionError(path)

    def size(self, path: str) -> int:  # noqa: ARG002
        """Bytes."""
        return self._source.size

"""GeoTIFF and Cloud Optimized GeoTIFF, uncompressed: every offset is known before a value is read.

GDAL writes a file of a few pixels with the same bands and the same place; its tags that do not
depend on the size are taken over. The image itself is laid out here (TIFF 6.0, BigTIFF where 4 GiB
are passed, "Cloud Optimized GeoTIFF" of GDAL's documentation): the directories, then the tiles of
the smallest overview, those of the next one, and those of the image. Tiles of 16 bands lie
together, as those of the stored cube do, so that each of its chunks is decompressed once.
"""

import math
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsis.cube import layout
from hsis.cube.layout import CubeInfo
from hsis_tiles.errors import UnsupportedExport
from hsis_tiles.export.attributes import NO_TEXTS, Texts
from hsis_tiles.export.blocks import (
    Block,
    ExportFile,
    Interval,
    Piece,
    block_of,
    breaks,
    cells_encoder,
    even_step,
    runs,
)
from hsis_tiles.export.selection import Selection, of_overview
from hsis_tiles.export.tiff_tags import LONG, LONG8, SHORT, Tag, template_tags

GEOTIFF_MEDIA_TYPE = "image/tiff; application=geotiff"
COG_MEDIA_TYPE = "image/tiff; application=geotiff; profile=cloud-optimized"
TILE_PIXELS = 512
TILE_MULTIPLE = 16
"""TIFF 6.0: the sides of tiles are multiples of it."""
MAX_BANDS = 65_535
CLASSIC_LIMIT = 2**32
NEW_SUBFILE_TYPE, WIDTH, LENGTH, COMPRESSION = 254, 256, 257, 259
TILE_WIDTH, TILE_LENGTH, TILE_OFFSETS, TILE_BYTE_COUNTS = 322, 323, 324, 325
ONLY_OF_THE_IMAGE = frozenset({33550, 33922, 34264, 34735, 34736, 34737, 42112})
"""Tags of the place and GDAL's metadata: overviews have none."""


@dataclass(frozen=True, slots=True)
class _Image:
    """The image or an overview: the part of that array, and its tiles (rows, columns)."""

    chosen: Selection
    factor: int
    tile: tuple[int, int]
    itemsize: int

    @property
    def tiles(self) -> tuple[int, int]:
        """Rows and columns of tiles."""
        _, rows, columns = self.chosen.shape
        return math.ceil(rows / self.tile[0]), math.ceil(columns / self.tile[1])

    @property
    def tile_bytes(self) -> int:
        """Of one band."""
        return math.prod(self.tile) * self.itemsize

    @property
    def data_bytes(self) -> int:
        """Of all bands."""
        return len(self.chosen.bands) * math.prod(self.tiles) * self.tile_bytes

    def groups(self) -> list[Interval]:
        """Bands whose tiles lie together."""
        return list(runs(breaks(self.chosen, "b"), layout.INNER_CHUNK[0]))

    def offsets(self, start: int) -> NDArray[np.uint64]:
        """Of every tile, all of the first band before those of the second."""
        per_band = math.prod(self.tiles)
        found = np.empty((len(self.chosen.bands), per_band), np.uint64)
        for first, stop in self.groups():
            place = np.arange(per_band) * (stop - first) + np.arange(stop - first)[:, None]
            found[first:stop] = start + (first * per_band + place) * self.tile_bytes
        return found.ravel()

    def blocks(self, dtype: np.dtype[Any], max_bytes: int) -> Iterator[Block]:
        """The tiles as they lie in the file."""
        _, rows, columns = self.chosen.shape
        height, width = self.tile
        for bands in self.groups():
            at_once = max_bytes // ((bands[1] - bands[0]) * self.tile_bytes)
            for top in range(0, rows, height):
                lines = (top, min(top + height, rows))
                if at_once == 0:  # not even one tile of all these bands
                    few = max(1, max_bytes // self.tile_bytes)
                    for left, first in product(range(0, columns, width), range(*bands, few)):
                        last = min(first + few, bands[1])
                        yield self._block((first, last), lines, left, left + width, dtype)
                else:
                    for left in range(0, columns, width * at_once):
                        yield self._block(bands, lines, left, left + width * at_once, dtype)

    def _block(
        self, bands: Interval, rows: Interval, left: int, right: int, dtype: np.dtype[Any]
    ) -> Block:
        """Whole tiles of a row of them; the last may end behind the image."""
        columns = (left, min(right, self.chosen.shape[2]))
        count = bands[1] - bands[0]
        tiles = math.ceil((columns[1] - left) / self.tile[1]) * count
        return block_of(
            self.chosen,
            {"b": bands, "y": rows, "x": columns},
            self.itemsize,
            cells_encoder((count, *self.tile), "byx", dtype),
            length=tiles * self.tile_bytes,
            factor=self.factor,
        )


def tiff_file(
    name: str,
    whole: CubeInfo,
    info: CubeInfo,
    chosen: Selection,
    *,
    overviews: bool,
    max_bytes: int,
    attributes: Texts = NO_TEXTS,
) -> ExportFile:
    """A selection of the cube `whole`, that `info` describes, as a TIFF of tiles band by band.

    UnsupportedExport where it has more bands than a TIFF may.
    """
    if info.bands > MAX_BANDS:
        raise UnsupportedExport(
            f"A TIFF has at most {MAX_BANDS} bands; {info.bands} are asked for. Choose `bands`."
        )
    dtype = info.dtype.newbyteorder("<")
    images = [_image(chosen, 1, dtype.itemsize)]
    if overviews:
        images += [
            _image(of_overview(whole, chosen, factor), factor, dtype.itemsize)
            for factor in layout.overview_factors(info.shape)
        ]
    tags = template_tags(info, attributes)
    data_bytes = sum(image.data_bytes for image in images)
    for big in (False, True):
        header_bytes = len(_header(images, tags, big=big, starts=[0] * len(images)))
        if header_bytes + data_bytes < CLASSIC_LIMIT:
            break
    starts = [
        header_bytes + sum(later.data_bytes for later in images[at + 1 :])
        for at in range(len(images))
    ]
    header = _header(images, tags, big=big, starts=starts)

    def pieces() -> Iterator[Piece]:
        yield header
        for image in reversed(images):
            yield from image.blocks(dtype, max_bytes)

    return ExportFile(
        f"{name}.tif",
        COG_MEDIA_TYPE if overviews else GEOTIFF_MEDIA_TYPE,
        header_bytes + data_bytes,
        pieces,
    )


def _image(chosen: Selection, factor: int, itemsize: int) -> _Image:
    _, rows, columns = chosen.shape
    tile = (
        even_step(rows, TILE_PIXELS, TILE_MULTIPLE),
        even_step(columns, TILE_PIXELS, TILE_MULTIPLE),
    )
    return _Image(chosen, factor, tile, itemsize)


def _header(
    images: Sequence[_Image], tags: Sequence[Tag], *, big: bool, starts: list[int]
) -> bytes:
    """Everything before the first tile; `starts` are where each image's tiles begin."""
    content = b"II" + (struct.pack("<HHHQ", 43, 8, 0, 0) if big else struct.pack("<HI", 42, 0))
    pointer = 8 if big else 4
    for image, start in zip(images, starts, strict=True):
        content += bytes(-len(content) % 8)
        where = struct.pack("<Q" if big else "<I", len(content))
        content = content[:pointer] + where + content[pointer + len(where) :]
        entries = _entries(image, tags, start, big=big)
        directory, pointer = _directory(entries, len(content), big=big)
        content += directory
    return content + bytes(-len(content) % 8)


def _entries(image: _Image, tags: Sequence[Tag], start: int, *, big: bool) -> list[Tag]:
    """The tags of one image, in their order."""
    _, rows, columns = image.chosen.shape
    offset = LONG8 if big else LONG
    # Where the file ends up as a BigTIFF, the offsets of the first try have no room.
    offsets = image.offsets(start).astype("<u8" if big else "<u4")
    counts = np.full(offsets.size, image.tile_bytes, "<u4")
    own = [
        Tag.of_numbers(WIDTH, LONG, [columns]),
        Tag.of_numbers(LENGTH, LONG, [rows]),
        Tag.of_numbers(COMPRESSION, SHORT, [1]),
        Tag.of_numbers(TILE_WIDTH, SHORT, [image.tile[1]]),
        Tag.of_numbers(TILE_LENGTH, SHORT, [image.tile[0]]),
        Tag(TILE_OFFSETS, offset, offsets.size, offsets.tobytes()),
        Tag(TILE_BYTE_COUNTS, LONG, counts.size, counts.tobytes()),
    ]
    if image.factor > 1:
        own.append(Tag.of_numbers(NEW_SUBFILE_TYPE, LONG, [1]))
        tags = [tag for tag in tags if tag.number not in ONLY_OF_THE_IMAGE]
    return sorted([*tags, *own], key=lambda tag: tag.number)


def _directory(entries: Sequence[Tag], at: int, *, big: bool) -> tuple[bytes, int]:
    """A directory that stands at `at`, with its values behind it, and where in the file it points
    to the next one."""
    count, room, entry = ("<Q", 8, 20) if big else ("<H", 4, 12)
    head = struct.pack(count, len(entries))
    pointer = at + len(head) + entry * len(entries)
    values_at = pointer + room
    values = b""
    for tag in entries:
        head += struct.pack("<HHQ" if big else "<HHI", tag.number, tag.kind, tag.count)
        if len(tag.content) <= room:
            head += tag.content.ljust(room, b"\0")
        else:
            values += bytes(-(values_at + len(values)) % 8)
            head += struct.pack("<Q" if big else "<I", values_at + len(values))
            values += tag.content
    return head + bytes(room) + values, pointer

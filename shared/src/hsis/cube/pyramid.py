"""The shards of a cube and of its overviews, made in one pass over the cube.

The cube is added in tiles: the bands of a shard x 128 x 128 pixels, a column of inner chunks. A
tile is compressed at once; halved, it is a quarter of a tile of the first overview, whose tiles,
once whole, go the same way. Nothing is read back.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from threading import Lock, local
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsis.cube import layout, overview
from hsis.cube.layout import INNER_CHUNK, CubeInfo, Shape
from hsis.cube.shard import compress_chunks, in_pieces

TILE_ROWS, TILE_COLUMNS = INNER_CHUNK[1:]
ROWS_IN_CACHE = 4
Part = tuple[slice, slice, slice]


@dataclass(frozen=True, slots=True)
class FinishedShard:
    """A shard to be stored: its key below the store's root, its shape, its compressed chunks."""

    key: str
    shape: Shape
    packed: dict[Shape, bytes]

    @property
    def packed_bytes(self) -> int:
        """Bytes of its compressed chunks."""
        return sum(map(len, self.packed.values()))

    def take_pieces(self) -> list[bytes]:
        """The bytes of the shard in pieces, once: who takes them has its chunks alone."""
        pieces = in_pieces(self.packed, self.shape)
        self.packed.clear()
        return pieces


@dataclass
class _Unfinished:
    """A tile of an overview: its values so far, and the number of quarters still to come."""

    values: NDArray[Any]
    missing: int


@dataclass
class _Gathering:
    """A shard: its compressed inner chunks so far, and the number of chunks still to come."""

    missing: int
    packed: dict[Shape, bytes] = field(default_factory=dict)


@dataclass
class _Level:
    """The cube (`factor` 1) or one of its overviews."""

    factor: int
    shape: Shape
    shards: dict[Shape, _Gathering] = field(default_factory=dict)
    tiles: dict[Shape, _Unfinished] = field(default_factory=dict)


class Pyramid:
    """Add every part of a cube once, in any order; each shard comes out when it is whole.

    The bands must be cut in the same way everywhere in the cube.
    What is held is what belongs to unfinished shards: in compressed form, and of overviews up to
    three quarters of a tile each as they are. `add` may be called from several threads at once.
    """

    def __init__(self, info: CubeInfo) -> None:
        self._info = info
        self._bands = layout.shard_shape(info.shape)[0]
        factors = [1, *layout.overview_factors(info.shape)]
        self._levels = [_Level(f, layout.overview_shape(info.shape, f)) for f in factors]
        self._lock = Lock()
        self._own = local()
        self.packed_bytes = 0
        """Bytes of the compressed chunks of unfinished shards."""

    def tiles_in(self, window: Part) -> Iterator[tuple[Part, Shape]]:
        """A window of the cube cut for `add`: parts of the window, and their corners in the cube.

        The window begins at inner chunks and ends at such or where the cube ends.
        """
        steps = (self._bands, TILE_ROWS, TILE_COLUMNS)
        cuts = [
            [
                slice(max(edge, part.start), min(edge + step, part.stop))
                for edge in range(part.start - part.start % step, part.stop, step)
            ]
            for part, step in zip(window, steps, strict=True)
        ]
        for tile in product(*cuts):
            bands, rows, columns = (
                slice(part.start - whole.start, part.stop - whole.start)
                for part, whole in zip(tile, window, strict=True)
            )
            yield (bands, rows, columns), _shape(part.start for part in tile)

    def laid_out(self, tile: NDArray[Any]) -> NDArray[Any]:
        """The same values in C order: for `add` and others that take them band by band.

        Where they must be moved, this is until the same thread asks again.
        """
        if tile.flags.c_contiguous:
            return tile
        most = self._bands * TILE_ROWS * TILE_COLUMNS
        buffer = getattr(self._own, "buffer", None)
        if buffer is None or buffer.dtype != tile.dtype:
            buffer = self._own.buffer = np.empty(most, tile.dtype)
        values: NDArray[Any] = buffer[: tile.size].reshape(tile.shape)
        if tile.strides[2] == tile.itemsize:
            values[...] = tile
        else:  # a few rows at a time: their values stay in the processor's cache meanwhile
            for row in range(0, tile.shape[1], ROWS_IN_CACHE):
                some = slice(row, row + ROWS_IN_CACHE)
                values[:, some] = tile[:, some]
        return values

    def add(self, tile: NDArray[Any], corner: Shape) -> list[FinishedShard]:
        """Take in a part (band, y, x) as `tiles_in` cuts them; the shards that are whole now."""
        finished: list[FinishedShard] = []
        for number, level in enumerate(self._levels):
            finished += self._store(level, tile, corner)
            if level is self._levels[-1]:
                break
            grown = self._grow(level, self._levels[number + 1], tile, corner)
            if grown is None:
                break
            tile, corner = grown
        return finished

    def _store(self, level: _Level, tile: NDArray[Any], corner: Shape) -> list[FinishedShard]:
        """Compress a tile of a level into its shard; the shard, if it is whole now."""
        size = layout.shard_shape(level.shape)
        index = _shape(first // step for first, step in zip(corner, size, strict=True))
        place = [
            first % step // c for first, step, c in zip(corner, size, INNER_CHUNK, strict=True)
        ]
        packed = {
            _shape(a + b for a, b in zip(place, inner, strict=True)): content
            for inner, content in compress_chunks(tile).items()
        }
        with self._lock:
            if index not in level.shards:
                parts = layout.shard_slices(level.shape, index)
                level.shards[index] = _Gathering(_chunks([p.stop - p.start for p in parts]))
            gathering = level.shards[index]
            gathering.packed.update(packed)
            self.packed_bytes += sum(map(len, packed.values()))
            gathering.missing -= _chunks(tile.shape)
            if gathering.missing:
                return []
            del level.shards[index]
            shard = FinishedShard(layout.shard_key(index, level.factor), size, gathering.packed)
            self.packed_bytes -= shard.packed_bytes
        return [shard]

    def _grow(
        self, level: _Level, above: _Level, tile: NDArray[Any], corner: Shape
    ) -> tuple[NDArray[Any], Shape] | None:
        """Put a halved tile where it belongs in the level above; that tile, if it is whole now."""
        quarter = overview.halve(tile, self._info.nodata, categorical=bool(self._info.classes))
        band, row, column = corner[0], corner[1] // 2, corner[2] // 2
        whole = (band, row - row % TILE_ROWS, column - column % TILE_COLUMNS)
        with self._lock:
            if whole not in above.tiles:
                above.tiles[whole] = _unfinished(quarter, whole, level.shape, above.shape)
            growing = above.tiles[whole]
        top, left = row - whole[1], column - whole[2]
        rows, columns = quarter.shape[1:]
        growing.values[:, top : top + rows, left : left + columns] = quarter
        with self._lock:
            growing.missing -= 1
            if growing.missing:
                return None
            del above.tiles[whole]
        return growing.values, whole


def _unfinished(quarter: NDArray[Any], corner: Shape, below: Shape, shape: Shape) -> _Unfinished:
    """An empty tile at `corner` of a level of that shape, made of the level `below`."""
    sizes: list[int] = []
    quarters = 1
    for first, step, size, size_below in zip(
        corner[1:], (TILE_ROWS, TILE_COLUMNS), shape[1:], below[1:], strict=True
    ):
        sizes.append(min(step, size - first))
        quarters *= min(2, math.ceil((size_below - 2 * first) / step))
    return _Unfinished(np.empty((quarter.shape[0], *sizes), quarter.dtype), quarters)


def _chunks(shape: Any) -> int:
    """The number of inner chunks of a part that begins at one."""
    return math.prod(math.ceil(size / step) for size, step in zip(shape, INNER_CHUNK, strict=True))


def _shape(values: Any) -> Shape:
    b, y, x = values
    return b, y, x

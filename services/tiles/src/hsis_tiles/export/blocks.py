"""Files as runs of bytes that are known and blocks of values that are read when their turn comes.

A block is small enough for memory, follows the block before it in the file, and reads whole inner
chunks of the stored cube where that is possible: each is then decompressed once.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsis.cube.layout import INNER_CHUNK, Shape
from hsis_tiles.export.selection import Selection

Interval = tuple[int, int]
Encode = Callable[[NDArray[Any]], bytes | memoryview]


@dataclass(frozen=True, slots=True)
class Block:
    """Values to read, as arguments of `StoredCube.read`, and what they are in the file.

    `encode` makes `length` bytes of an array of (band, y, x).
    """

    bands: tuple[int, ...]
    rows: Interval
    columns: Interval
    length: int
    encode: Encode
    factor: int = 1


@dataclass(frozen=True, slots=True)
class Blob:
    """A stored blob that is sent as it is."""

    key: str
    length: int


Piece = bytes | Block | Blob


@dataclass(frozen=True, slots=True)
class ExportFile:
    """A file as pieces, made anew by each call; `length` is their sum in bytes."""

    name: str
    media_type: str
    length: int
    pieces: Callable[[], Iterator[Piece]]


def literal(name: str, media_type: str, content: bytes) -> ExportFile:
    """A file of known bytes."""
    return ExportFile(name, media_type, len(content), lambda: iter((content,)))


def breaks(chosen: Selection, axis: str) -> list[int]:
    """Where along an axis (`b`, `y` or `x`) of the selection the inner chunks change: ascending,
    with both ends."""
    if axis == "b":
        chunks = [band // INNER_CHUNK[0] for band in chosen.bands]
        inner = [at for at, (one, two) in enumerate(pairwise(chunks), 1) if one != two]
        return [0, *inner, len(chunks)]
    (start, stop), step = (
        (chosen.rows, INNER_CHUNK[1]) if axis == "y" else (chosen.columns, INNER_CHUNK[2])
    )
    first = (start // step + 1) * step
    return [0, *(at - start for at in range(first, stop, step)), stop - start]


def runs(natural: Sequence[int], limit: int) -> Iterator[Interval]:
    """Intervals of at most `limit` (1 or more) that cover an axis, cut at its natural breaks where
    there is one within reach."""
    start, size = 0, natural[-1]
    at = 0
    while start < size:
        stop = min(start + limit, size)
        while at + 1 < len(natural) and natural[at + 1] <= stop:
            at += 1
        if natural[at] > start:
            stop = natural[at]
        yield start, stop
        start = stop


def array_blocks(
    chosen: Selection,
    axes: str,
    dtype: np.dtype[Any],
    max_bytes: int,
    part: Callable[[NDArray[Any]], NDArray[Any]] | None = None,
) -> Iterator[Block]:
    """The blocks of a plain array whose axes are `axes`, such as `byx`, the slowest first.

    `part` gives what of the values is written, such as their real part; `dtype` is its type in
    the file.
    """
    sizes = {"b": chosen.shape[0], "y": chosen.shape[1], "x": chosen.shape[2]}
    slow, middle, fast = axes[0], axes[1], axes[2]
    cells = max(1, max_bytes // dtype.itemsize)
    row = sizes[fast]
    plane = row * sizes[middle]
    whole = {axis: (0, size) for axis, size in sizes.items()}
    cuts: Iterator[dict[str, Interval]]
    if plane <= cells:
        cuts = ({slow: run} for run in runs(breaks(chosen, slow), cells // plane))
    elif row <= cells:
        cuts = (
            {slow: (at, at + 1), middle: run}
            for at in range(sizes[slow])
            for run in runs(breaks(chosen, middle), cells // row)
        )
    else:
        cuts = (
            {slow: (at, at + 1), middle: (line, line + 1), fast: run}
            for at in range(sizes[slow])
            for line in range(sizes[middle])
            for run in runs(breaks(chosen, fast), cells)
        )
    order = ["byx".index(axis) for axis in axes]

    def encode(values: NDArray[Any]) -> memoryview:
        written = part(values) if part is not None else values
        return as_bytes(written.transpose(order).astype(dtype, order="C", copy=False))

    for cut in cuts:
        yield block_of(chosen, whole | cut, dtype.itemsize, encode)


def block_of(
    chosen: Selection,
    cut: dict[str, Interval],
    itemsize: int,
    encode: Encode,
    *,
    length: int | None = None,
    factor: int = 1,
) -> Block:
    """A block of a part of the selection, given by an interval of each axis within it; `length`
    where it is not that of its values."""
    (b0, b1), (y0, y1), (x0, x1) = cut["b"], cut["y"], cut["x"]
    top, left = chosen.rows[0], chosen.columns[0]
    return Block(
        chosen.bands[b0:b1],
        (top + y0, top + y1),
        (left + x0, left + x1),
        length or (b1 - b0) * (y1 - y0) * (x1 - x0) * itemsize,
        encode,
        factor,
    )


def cells_encoder(cell: Shape, axes: str, dtype: np.dtype[Any]) -> Encode:
    """Encode values as whole cells one after another (tiles or chunks), filled up with 0.

    The values are one cell wide along all axes but the fastest one of `axes`; `cell` is the shape
    along `axes`.
    """
    order = ["byx".index(axis) for axis in axes]

    def encode(values: NDArray[Any]) -> memoryview:
        values = values.transpose(order)
        count = math.ceil(values.shape[2] / cell[2])
        filled = np.zeros((count, *cell), dtype)
        for at in range(count):
            piece = values[:, :, at * cell[2] : (at + 1) * cell[2]]
            filled[at][tuple(map(slice, piece.shape))] = piece
        return as_bytes(filled)

    return encode


def even_step(size: int, most: int, multiple: int = 1) -> int:
    """The step, at most `most` and a multiple of `multiple`, that cuts an axis into the fewest and
    most even parts."""
    parts = math.ceil(size / most)
    return math.ceil(math.ceil(size / parts) / multiple) * multiple


def grid(shape: Sequence[int], cell: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """The places of cells in C order."""
    return product(*(range(math.ceil(n / step)) for n, step in zip(shape, cell, strict=True)))


def as_bytes(values: NDArray[Any]) -> memoryview:
    """The bytes of an array in C order, without a copy where it is so already."""
    return np.ascontiguousarray(values).reshape(-1).view(np.uint8).data

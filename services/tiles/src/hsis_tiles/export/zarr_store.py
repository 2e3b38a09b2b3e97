"""Zarr v3 stores as members of a ZIP archive, which is a store of zarr-python as it is."""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping
from concurrent.futures import Executor
from typing import Any

from hsis.cube import layout
from hsis.cube.layout import INNER_CHUNK, CubeInfo, Shape
from hsis.cube.reader import StoredCube
from hsis.cube.shard import compress_chunks, join_chunks
from hsis_tiles.export.selection import Selection, of_overview

Part = tuple[slice, slice, slice]


async def store_of_part(
    cube: StoredCube,
    info: CubeInfo,
    chosen: Selection,
    executor: Executor,
    *,
    max_bytes: int,
    attributes: Mapping[str, Any],
) -> AsyncGenerator[tuple[str, bytes], None]:
    """Every object of a store of a selection, which `info` describes, by its key; `zarr.json` first
    and one shard at a time.

    Its overviews show what those of the whole cube do.
    """
    documents = layout.store_documents(info, attributes)
    for key in reversed(documents):
        yield key, documents[key]
    for factor in (1, *layout.overview_factors(info.shape)):
        part = chosen if factor == 1 else of_overview(cube.info, chosen, factor)
        for index in layout.shard_indices(part.shape):
            slices = layout.shard_slices(part.shape, index)
            content = await _shard(cube, part, slices, factor, executor, max_bytes)
            yield layout.shard_key(index, factor), content
            del content


async def _shard(
    cube: StoredCube,
    part: Selection,
    slices: Part,
    factor: int,
    executor: Executor,
    max_bytes: int,
) -> bytes:
    """A shard of the selection, compressed a few inner chunks at a time."""
    loop = asyncio.get_running_loop()
    bands = part.bands[slices[0]]
    top, left = part.rows[0] + slices[1].start, part.columns[0] + slices[2].start
    packed: dict[Shape, bytes] = {}
    sizes = (len(bands), slices[1].stop - slices[1].start, slices[2].stop - slices[2].start)
    for first, rows, columns in _pieces(sizes, cube.info.dtype.itemsize, max_bytes):
        values = await cube.read(
            bands,
            (top + rows[0], top + rows[1]),
            (left + columns[0], left + columns[1]),
            factor,
        )
        found = await loop.run_in_executor(executor, compress_chunks, values)
        packed |= {(b, y + first[0], x + first[1]): content for (b, y, x), content in found.items()}
    return await loop.run_in_executor(executor, join_chunks, packed, layout.shard_shape(part.shape))


def _pieces(
    sizes: Shape, itemsize: int, max_bytes: int
) -> Iterator[tuple[tuple[int, int], tuple[int, int], tuple[int, int]]]:
    """Parts of whole inner chunks: the place of their first chunk, and their rows and columns."""
    _, chunk_rows, chunk_columns = INNER_CHUNK
    for top in range(0, sizes[1], chunk_rows):
        rows = (top, min(top + chunk_rows, sizes[1]))
        column_bytes = sizes[0] * (rows[1] - rows[0]) * chunk_columns * itemsize
        step = chunk_columns * max(1, max_bytes // column_bytes)
        for left in range(0, sizes[2], step):
            first = (top // chunk_rows, left // chunk_columns)
            yield first, rows, (left, min(left + step, sizes[2]))

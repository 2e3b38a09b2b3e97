"""Stored cubes in a folder, for tests without a server."""

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsis.cube import layout
from hsis.cube.shard import encode_shard
from hsis.cube.writer import write_overviews

SEED = 20240607
DTYPES = (
    *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float32", "float64", "complex64", "complex128"),
)


class FolderBlobs:
    """Blobs as files; counts the bytes read of each key."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bytes_read: dict[str, int] = {}

    async def get(self, key: str) -> bytes:
        content = (self.folder / key).read_bytes()
        self.bytes_read[key] = self.bytes_read.get(key, 0) + len(content)
        return content

    async def get_range(self, key: str, start: int, length: int) -> bytes:
        with (self.folder / key).open("rb") as blob:
            blob.seek(start)
            content = blob.read(length)
        self.bytes_read[key] = self.bytes_read.get(key, 0) + len(content)
        return content

    async def put(self, key: str, content: bytes, _: str) -> None:
        path = self.folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def random_values(shape: layout.Shape, dtype: str, seed: int = SEED) -> NDArray[Any]:
    """Values over the whole range of the dtype, shape (band, y, x)."""
    kind = np.dtype(dtype)
    random = np.random.default_rng(seed)
    if kind.kind in "iu":
        limits = np.iinfo(kind)
        return random.integers(limits.min, limits.max, shape, kind, endpoint=True)
    real = random.normal(0, 1e3, shape)
    return (real + 1j * random.normal(0, 1e3, shape) if kind.kind == "c" else real).astype(kind)


async def write_cube(
    blobs: FolderBlobs, prefix: str, values: NDArray[Any], info: layout.CubeInfo
) -> None:
    """Write the store of a cube (band, y, x) with its overviews."""
    for index in layout.shard_indices(info.shape):
        block = values[layout.shard_slices(info.shape, index)]
        content = encode_shard(block, layout.shard_shape(info.shape))
        await blobs.put(prefix + layout.shard_key(index), content, "")
    await write_overviews(blobs, blobs.put, prefix, info, None)
    for key, content in layout.store_documents(info).items():
        await blobs.put(prefix + key, content, "")


def stored(folder: Path, values: NDArray[Any], **description: Any) -> FolderBlobs:
    """A store at `folder` with that cube."""
    blobs = FolderBlobs(folder)
    info = layout.CubeInfo(values.shape, values.dtype, **description)
    asyncio.run(write_cube(blobs, "", values, info))
    return blobs

"""The values of an array in a zipped Zarr store: chunks fetched as byte ranges, decoded in bounded
memory."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from hsis_ingest.errors import TruncatedFile
from hsis_ingest.formats.array_cube import Window
from hsis_ingest.formats.expansion import check_chunk, check_expansion
from hsis_ingest.formats.hdf5_array import DECODED_BYTES_KEPT, MAX_SMALL_BYTES, three_axes
from hsis_ingest.formats.source import ByteSource, ReadOptions, Span, native_dtype
from hsis_ingest.formats.spans import read_spans
from hsis_ingest.formats.zarr_codecs import CHECKSUM_BYTES, decoded
from hsis_ingest.formats.zarr_node import Codec, ZarrNode
from hsis_ingest.formats.zip_members import ZipMembers

NO_CHUNK = 2**64 - 1
INDEX_ENTRY_BYTES = 16
INDICES_KEPT = 64
LARGEST_GROWTH = 2
"""Compressed values may be longer than they are plain, but not by so much."""

Place = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Shard:
    """An object of many chunks: their offsets and lengths in it, shape (chunks, 2); where it begins
    in the file, or its content where it is compressed there."""

    index: NDArray[np.uint64]
    start: int
    size: int
    content: bytes | None


class ZarrArray:
    """An array as one of three axes, slowest first: leading ones of one element are left out, and
    one of fewer axes gets such."""

    def __init__(
        self, data: ByteSource, members: ZipMembers, node: ZarrNode, options: ReadOptions
    ) -> None:
        self._data = data
        self._members = members
        self._node = node
        self._where = f"{data.name}: {node.path.rstrip('/') or '/'}"
        self._lead, self.shape = three_axes(node.shape, self._where)
        stored = node.coding.dtype
        self._stored_dtype = np.dtype(np.uint8) if stored.kind == "b" else stored
        self.dtype = native_dtype(self._stored_dtype, self._where)
        self._chunk_bytes = math.prod(node.chunks) * stored.itemsize
        check_chunk(self._chunk_bytes, self._where, options)
        if node.shards is not None:
            check_chunk(self._chunks_in_shard() * INDEX_ENTRY_BYTES, self._where, options)
        self._check_expansion(options)
        kept = max(DECODED_BYTES_KEPT, self._chunk_bytes)
        self._decoded: LRUCache[Place, NDArray[Any]] = LRUCache(
            kept, getsizeof=lambda values: values.nbytes
        )
        self._shards: LRUCache[Place, _Shard | None] = LRUCache(INDICES_KEPT)

    def thin_first(self, axes: str) -> str:
        """`axes`, the letters of the three axes, with those first along which chunks are thin:
        windows that are cut along them decode each chunk once."""
        sizes = (1, 1, *self._node.chunks[self._lead :])[-3:]
        parts = [size / whole for size, whole in zip(sizes, self.shape, strict=True)]
        return "".join(axes[number] for number in sorted(range(3), key=parts.__getitem__))

    def read(self, window: Window) -> NDArray[Any]:
        """The values of a window of the three axes, in the machine's byte order."""
        result = np.full([part.stop - part.start for part in window], self._node.fill, self.dtype)
        shape = (1, 1, *self._node.chunks[self._lead :])[-3:]
        for place, values in self._values_of(self._places(window)):
            target, source = [], []
            for index, size, part in zip((0, 0, *place)[-3:], shape, window, strict=True):
                first, stop = max(index * size, part.start), min((index + 1) * size, part.stop)
                target.append(slice(first - part.start, stop - part.start))
                source.append(slice(first - index * size, stop - index * size))
            result[tuple(target)] = values[tuple(source)]
        return result

    def _places(self, window: Window) -> list[Place]:
        """In the grid of chunks, those that a window touches."""
        chunks = self._node.chunks
        inner = window[3 - (len(chunks) - self._lead) :]
        parts = [range(1)] * self._lead + [
            range(part.start // size, math.ceil(part.stop / size))
            for part, size in zip(inner, chunks[self._lead :], strict=True)
        ]
        return list(product(*parts))

    def _values_of(self, places: Sequence[Place]) -> Iterator[tuple[Place, NDArray[Any]]]:
        """The values, of three axes, of the chunks that are there."""
        missing = []
        for place in places:
            values = self._decoded.get(place)
            if values is None:
                missing.append(place)
            else:
                yield place, values
        contents = (
            self._whole_objects(missing) if self._node.shards is None else self._inner(missing)
        )
        for place, content in contents:
            values = self._decode(place, content)
            self._decoded[place] = values
            yield place, values

    def _whole_objects(self, places: Sequence[Place]) -> Iterator[tuple[Place, bytes]]:
        keys = {place: self._node.key(place) for place in places}
        there = [place for place in places if keys[place] in self._members]
        there.sort(key=lambda place: self._members.position(keys[place]))
        contents = self._members.contents([keys[place] for place in there])
        yield from zip(there, contents, strict=True)

    def _inner(self, places: Sequence[Place]) -> Iterator[tuple[Place, bytes]]:
        """Of shards: the chunks that are in the file as they are, then those of compressed ones."""
        spans: list[tuple[Span, Place]] = []
        for place in places:
            found = self._chunk_in_shard(place)
            if found is None:
                continue
            shard, offset, length = found
            if shard.content is None:
                spans.append(((shard.start + offset, length), place))
            else:
                yield place, shard.content[offset : offset + length]
        spans.sort()
        contents = read_spans(self._data, [span for span, _ in spans])
        for (_, place), content in zip(spans, contents, strict=True):
            yield place, content

    def _chunk_in_shard(self, place: Place) -> tuple[_Shard, int, int] | None:
        assert self._node.shards is not None
        ratio = [
            whole // part
            for whole, part in zip(self._node.shards.shape, self._node.chunks, strict=True)
        ]
        outer = tuple(at // many for at, many in zip(place, ratio, strict=True))
        if outer not in self._shards:
            self._shards[outer] = self._opened_shard(outer)
        shard = self._shards[outer]
        if shard is None:
            return None
        inside = [at % many for at, many in zip(place, ratio, strict=True)]
        offset, length = map(int, shard.index[np.ravel_multi_index(inside, ratio)])
        if offset == length == NO_CHUNK:
            return None
        if offset + length > shard.size or length > self._chunk_bytes * LARGEST_GROWTH + 4096:
            raise TruncatedFile(f"{self._where}: the index of the shard at {outer} is damaged.")
        return shard, offset, length

    def _opened_shard(self, outer: Place) -> _Shard | None:
        """A shard with its index; None where it is not there."""
        shards = self._node.shards
        assert shards is not None
        key = self._node.key(outer)
        if key not in self._members:
            return None
        length = self._chunks_in_shard() * INDEX_ENTRY_BYTES
        stored = length + CHECKSUM_BYTES * len(shards.index)
        span = self._members.span(key)
        if span is None:
            content: bytes | None = next(self._members.contents([key]))
            start, size = 0, len(content or b"")
        else:
            content = None
            start, size = span
        if size < stored:
            raise TruncatedFile(f"{self._where}: the shard at {outer} is too short for its index.")
        at = 0 if shards.index_at_start else size - stored
        raw = content[at : at + stored] if content else self._data.read_at(start + at, stored)
        raw = self._undone(shards.index, raw, length, f"index of the shard at {outer}")
        index = np.frombuffer(raw, np.dtype("<u8")).reshape(-1, 2)
        return _Shard(index, start, size, content)

    def _decode(self, place: Place, content: bytes) -> NDArray[Any]:
        coding = self._node.coding
        content = self._undone(coding.codecs, content, self._chunk_bytes, f"chunk at {place}")
        values = np.frombuffer(content, self._stored_dtype)
        as_stored = values.reshape([self._node.chunks[axis] for axis in coding.order])
        in_order = as_stored.transpose(np.argsort(coding.order))
        return in_order.reshape((1, 1, *in_order.shape[self._lead :])[-3:])

    def _undone(self, codecs: Sequence[Codec], content: bytes, length: int, what: str) -> bytes:
        where = f"{self._where}: the {what}"
        for number, codec in reversed(list(enumerate(codecs))):
            content = decoded(codec, content, length + CHECKSUM_BYTES * number, where)
        if len(content) != length:
            raise TruncatedFile(f"{where} has {len(content)} bytes; {length} are right.")
        return content

    def _chunks_in_shard(self) -> int:
        assert self._node.shards is not None
        return math.prod(self._node.shards.shape) // math.prod(self._node.chunks)

    def _check_expansion(self, options: ReadOptions) -> None:
        prefix = self._node.path + self._node.key_prefix
        keys = [name for name in self._members.names if name.startswith(prefix)]
        declared = math.prod(self._node.shape) * self._stored_dtype.itemsize
        check_expansion(declared, self._members.stored_bytes(keys), self._where, options)


def small_values(
    data: ByteSource, members: ZipMembers, node: ZarrNode, options: ReadOptions
) -> NDArray[Any] | None:
    """All numbers of a coordinate; None where it holds no numbers, or too many."""
    dtype = node.coding.dtype
    many = math.prod(node.shape)
    if dtype.kind not in "iufb" or dtype.itemsize * many > MAX_SMALL_BYTES or not node.shape:
        return None
    if not many or dtype.name == "float16":
        return None
    array = ZarrArray(data, members, node, options)
    first, second, third = (slice(0, size) for size in array.shape)
    return array.read((first, second, third)).reshape(node.shape)

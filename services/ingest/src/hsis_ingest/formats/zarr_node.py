"""The description of an array in a Zarr store, version 2 or 3."""

import base64
import binascii
import json
import math
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hsis_ingest.errors import HeaderMismatch, UnsupportedFormat
from hsis_ingest.formats.zarr_codecs import check_codec

BIG_ENDIAN = "big"
TYPES = frozenset(
    {"bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16",
     "float32", "float64", "complex64", "complex128"}
)  # fmt: skip
SPECIAL = {"NaN": math.nan, "nan": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
PLAIN_TYPE = re.compile(r"[<>|=]?[biufcSUVMmO]\d{0,3}(\[\w+\])?")
"""Numbers, and what may lie beside a cube: text, times."""
MAX_AXES = 16

Codec = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ChunkCodecs:
    """How the bytes of a chunk become values. `codecs` are undone from the last to the first;
    `order` are the array's axes as the bytes have them, slowest first."""

    dtype: np.dtype[Any]
    order: tuple[int, ...]
    codecs: tuple[Codec, ...]


@dataclass(frozen=True, slots=True)
class Shards:
    """Of a sharded array: the shape of a shard (one object each), and where its index is."""

    shape: tuple[int, ...]
    index: tuple[Codec, ...]
    index_at_start: bool


@dataclass(frozen=True, slots=True)
class ZarrNode:
    """An array. `path` is the prefix of its keys, empty or with a `/` at its end; `chunks` the
    shape of what is decoded at once."""

    path: str
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    coding: ChunkCodecs
    fill: Any
    dimensions: tuple[str | None, ...]
    attributes: Mapping[str, Any]
    shards: Shards | None
    key_prefix: str
    key_separator: str

    @property
    def name(self) -> str:
        """Without the folders it lies in."""
        return self.path.rstrip("/").rpartition("/")[2]

    def key(self, place: Sequence[int]) -> str:
        """The key of the chunk, or shard, at a place of the grid."""
        return (
            self.path + self.key_prefix + self.key_separator.join(map(str, place) if place else "0")
        )


def parsed(content: bytes, where: str) -> dict[str, Any]:
    """A JSON document that must be an object; HeaderMismatch where it is none."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise HeaderMismatch(f"{where} is no JSON object.")
    return document


def node_v2(
    path: str, document: Mapping[str, Any], attributes: Mapping[str, Any], where: str
) -> ZarrNode:
    """By `.zarray` and `.zattrs`."""
    shape, chunks = _sizes(document, "shape", where), _sizes(document, "chunks", where)
    kind = document.get("dtype")
    if not isinstance(kind, str) or PLAIN_TYPE.fullmatch(kind) is None:
        raise UnsupportedFormat(f"{where}: dtype {str(kind)[:40]!r}; numbers are right.")
    try:
        dtype = np.dtype(kind)
    except TypeError:
        raise UnsupportedFormat(f"{where}: dtype {kind!r} is unknown.") from None
    axes = tuple(range(len(shape)))
    encoded = [*_list(document, "filters", where), document.get("compressor")]
    codecs = tuple(codec for codec in encoded if codec is not None)
    for codec in codecs:
        if not isinstance(codec, dict) or not isinstance(codec.get("id"), str):
            raise HeaderMismatch(f"{where}: a codec without an `id`.")
        check_codec(codec, where)
    names = attributes.get("_ARRAY_DIMENSIONS")
    separator = document.get("dimension_separator", ".")
    return _checked(
        ZarrNode(
            path=path,
            shape=shape,
            chunks=chunks,
            coding=ChunkCodecs(dtype, axes[::-1] if document.get("order") == "F" else axes, codecs),
            fill=_fill(document.get("fill_value"), dtype, where),
            dimensions=_dimensions(names, len(shape)),
            # xarray keeps `_FillValue` there, and nowhere else.
            attributes={"_FillValue": document.get("fill_value"), **attributes}
            if names is not None
            else attributes,
            shards=None,
            key_prefix="",
            key_separator="/" if separator == "/" else ".",
        ),
        where,
    )


def node_v3(path: str, document: Mapping[str, Any], where: str) -> ZarrNode:
    """By `zarr.json`."""
    shape = _sizes(document, "shape", where)
    kind = document.get("data_type")
    if not isinstance(kind, str) or kind not in TYPES:
        raise UnsupportedFormat(f"{where}: data type {str(kind)[:40]!r}; numbers are right.")
    grid, grid_settings = _named(document.get("chunk_grid"), where)
    if grid != "regular":
        raise UnsupportedFormat(f"{where} has a chunk grid {grid!r}; a regular one is read.")
    outer = chunks = _sizes(grid_settings, "chunk_shape", where)
    codecs = [_named(codec, where) for codec in _list(document, "codecs", where)]
    shards = None
    if codecs and codecs[0][0] == "sharding_indexed":
        settings = codecs[0][1]
        chunks = _sizes(settings, "chunk_shape", where)
        index = [_named(codec, where) for codec in _list(settings, "index_codecs", where)]
        if (
            len(codecs) > 1
            or len(chunks) != len(outer)
            or any(not part or whole % part for whole, part in zip(outer, chunks, strict=True))
        ):
            raise UnsupportedFormat(
                f"{where}: shards that are encoded again, or of parts of chunks."
            )
        shards = Shards(
            outer,
            _coding(index, np.dtype("uint64"), 0, f"{where} (index of a shard)").codecs,
            settings.get("index_location", "end") == "start",
        )
        codecs = [_named(codec, where) for codec in _list(settings, "codecs", where)]
    encoding, settings = _named(document.get("chunk_key_encoding"), where)
    separator = settings.get("separator", "/" if encoding == "default" else ".")
    if encoding not in {"default", "v2"} or separator not in ("/", "."):
        raise UnsupportedFormat(f"{where}: keys of chunks are encoded by {encoding!r}.")
    attributes = document.get("attributes") or {}
    dtype = np.dtype(kind)
    return _checked(
        ZarrNode(
            path=path,
            shape=shape,
            chunks=chunks,
            coding=_coding(codecs, dtype, len(shape), where),
            fill=_fill(document.get("fill_value"), dtype, where),
            dimensions=_dimensions(document.get("dimension_names"), len(shape)),
            attributes=attributes if isinstance(attributes, dict) else {},
            shards=shards,
            key_prefix=f"c{separator}"
            if encoding == "default" and shape
            else "c"
            if encoding == "default"
            else "",
            key_separator=separator,
        ),
        where,
    )


def number(value: Any) -> float | None:
    """A number in attributes: as JSON has it, or as xarray encodes `_FillValue` (base64 of eight
    bytes); None for others."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, str):
        if value in SPECIAL:
            return SPECIAL[value]
        try:
            content = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            return None
        return float(struct.unpack("<d", content)[0]) if len(content) == 8 else None
    try:
        return float(value) if isinstance(value, int | float) else None
    except OverflowError:  # JSON's integers have no end
        return None


def _coding(
    codecs: Sequence[tuple[str, Any]], dtype: np.dtype[Any], rank: int, where: str
) -> ChunkCodecs:
    """Array codecs (transpose), the array's bytes, and those of bytes, in this order."""
    order = tuple(range(rank))
    found: list[Codec] = []
    seen_bytes = False
    for name, settings in codecs:
        if (
            name == "transpose"
            and not seen_bytes
            and sorted(settings.get("order", [])) == list(order)
        ):
            order = tuple(order[axis] for axis in settings["order"])
        elif name == "bytes" and not seen_bytes:
            seen_bytes = True
            dtype = dtype.newbyteorder(">" if settings.get("endian") == BIG_ENDIAN else "<")
        elif seen_bytes:
            codec = {**settings, "id": name.removeprefix("numcodecs.")}
            check_codec(codec, where)
            found.append(codec)
        else:
            raise UnsupportedFormat(f"{where} is encoded by {name!r} before `bytes`: not read.")
    if not seen_bytes:
        raise UnsupportedFormat(f"{where} has no codec `bytes`.")
    return ChunkCodecs(dtype, order, tuple(found))


def _named(value: Any, where: str) -> tuple[str, dict[str, Any]]:
    """Name and configuration of a Zarr v3 extension point."""
    if isinstance(value, str):
        return value, {}
    settings = value.get("configuration") or {} if isinstance(value, dict) else None
    if not isinstance(settings, dict) or not isinstance(value.get("name"), str):
        raise HeaderMismatch(f"{where}: a part of its metadata has no `name`.")
    return value["name"], settings


def _list(document: Mapping[str, Any], key: str, where: str) -> list[Any]:
    found = document.get(key) or []
    if not isinstance(found, list):
        raise HeaderMismatch(f"{where}: `{key}` is no list.")
    return found


def _sizes(document: Mapping[str, Any], key: str, where: str) -> tuple[int, ...]:
    sizes = document.get(key)
    if (
        not isinstance(sizes, list)
        or len(sizes) > MAX_AXES
        or not all(
            isinstance(size, int) and not isinstance(size, bool) and 0 <= size < 2**48
            for size in sizes
        )
    ):
        raise HeaderMismatch(f"{where}: `{key}` is no list of sizes.")
    return tuple(sizes)


def _dimensions(names: Any, rank: int) -> tuple[str | None, ...]:
    if isinstance(names, list) and len(names) == rank:
        return tuple(name if isinstance(name, str) else None for name in names)
    return (None,) * rank


def _fill(value: Any, dtype: np.dtype[Any], where: str) -> Any:
    """What chunks that are not there hold."""
    if dtype.kind not in "iufcb":
        return None  # told where such an array is wanted
    try:
        if value is None:
            return dtype.type(0)
        if isinstance(value, list) and len(value) == 2 and dtype.kind == "c":
            real, imaginary = map(_special, value)
            return dtype.type(complex(real, imaginary))
        if isinstance(value, str) and value.startswith("0x"):
            return np.frombuffer(bytes.fromhex(value[2:]), dtype.newbyteorder(">"))[0]
        if isinstance(value, list | dict):
            raise TypeError
        return dtype.type(_special(value))
    except (TypeError, ValueError, OverflowError, IndexError):
        raise HeaderMismatch(f"{where}: fill_value = {str(value)[:40]} cannot be.") from None


def _special(value: Any) -> Any:
    return SPECIAL.get(value, value) if isinstance(value, str) else value


def _checked(node: ZarrNode, where: str) -> ZarrNode:
    outer = node.chunks if node.shards is None else node.shards.shape
    if len(outer) != len(node.shape) or 0 in node.chunks or 0 in outer:
        raise HeaderMismatch(f"{where} has chunks of another number of axes, or of no elements.")
    return node

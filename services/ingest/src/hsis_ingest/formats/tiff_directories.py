"""The images of a TIFF file as its directories declare them, before any library opens it."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from hsis_ingest.errors import DecompressionBomb, TruncatedFile
from hsis_ingest.formats.source import ByteSource, ReadOptions, Span, read_exactly

MAX_TAG_BYTES = 64 * 1024 * 1024
SUBFILE_TYPE, WIDTH, LENGTH, BITS, DESCRIPTION = 254, 256, 257, 258, 270
SAMPLES, SAMPLE_FORMAT = 277, 339
GEO_ASCII, GDAL_METADATA = 34737, 42112
TEXTS = frozenset({GEO_ASCII, GDAL_METADATA})
SIGNATURE = (WIDTH, LENGTH, BITS, SAMPLES, SAMPLE_FORMAT)
DEFAULTS = {SUBFILE_TYPE: 0, BITS: 1, SAMPLES: 1, SAMPLE_FORMAT: 1}
TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4,
              16: 8, 17: 8, 18: 8}  # fmt: skip
INTEGERS = {1: "B", 3: "H", 4: "I", 16: "Q"}
NO_IMAGE = 0b101
"""Bits of the subfile type: a smaller version of another image, a mask."""


@dataclass(frozen=True, slots=True)
class TextTag:
    """The offset of a tag in its directory, with the file's form of counts and offsets (`struct`),
    and where its text lies."""

    offset: int
    form: str
    span: Span

    def pointing_to(self, span: Span) -> tuple[int, bytes]:
        """Where its count and offset are, and what they are for a text that lies elsewhere;
        struct.error where no offset of the file reaches so far."""
        return self.offset + 4, struct.pack(self.form[0] + 2 * self.form[1], span[1], span[0])


@dataclass(frozen=True, slots=True)
class Directory:
    """An image: the offset of its directory, and its tags of one small integer."""

    offset: int
    values: dict[int, int]
    description: Span | None = None
    texts: dict[int, "TextTag"] = field(default_factory=dict)
    """Those of `TEXTS` that lie outside of the directory."""
    by_gdal: bool = False
    """Whether it has metadata of GDAL's, which may say a scale."""

    @property
    def signature(self) -> tuple[int, ...]:
        """Width, height, bits, samples and format: equal for images that can be stacked."""
        return tuple(self.values.get(tag, DEFAULTS.get(tag, 0)) for tag in SIGNATURE)

    @property
    def is_image(self) -> bool:
        """Whether it is an image of its own, no overview or mask."""
        return not self.values.get(SUBFILE_TYPE, 0) & NO_IMAGE

    def description_begins(self, data: ByteSource, with_bytes: bytes) -> bool:
        """Whether its text begins so."""
        if self.description is None or self.description[1] < len(with_bytes):
            return False
        return data.read_at(self.description[0], len(with_bytes)) == with_bytes


def tiff_directories(data: ByteSource, options: ReadOptions) -> list[Directory]:
    """Every directory, in the file's order.

    TruncatedFile where one lies behind the end or the chain is a circle; DecompressionBomb where
    there are more than allowed, or a tag is far too large.
    """
    found: list[Directory] = []
    seen: set[int] = set()
    order, big, offset = _header(data)
    while offset:
        if offset in seen:
            raise TruncatedFile(f"{data.name}: its chain of images leads back to byte {offset}.")
        if len(seen) == options.tiff_max_images:
            raise DecompressionBomb(
                f"{data.name} has more than {options.tiff_max_images} images "
                "(setting tiff_max_images)."
            )
        seen.add(offset)
        directory, offset = _directory(data, offset, order, big)
        found.append(directory)
    return found


def first_directory(data: ByteSource) -> Directory:
    """That of the image that GDAL opens; TruncatedFile and DecompressionBomb as above."""
    order, big, offset = _header(data)
    return _directory(data, offset, order, big)[0]


def _header(data: ByteSource) -> tuple[str, bool, int]:
    """The order of bytes, whether it is a BigTIFF, and the offset of the first directory."""
    head = data.read_at(0, 16)
    order = "<" if head[:2] == b"II" else ">"
    big = head[2:4] in {b"+\x00", b"\x00+"}
    length = 16 if big else 8
    if len(head) < length:
        raise TruncatedFile(f"{data.name} has {len(head)} bytes; a TIFF header has {length}.")
    (offset,) = struct.unpack(order + ("Q" if big else "I"), head[8:16] if big else head[4:8])
    return order, big, offset


def _directory(data: ByteSource, offset: int, order: str, big: bool) -> tuple[Directory, int]:
    """A directory and the offset of the next one, 0 behind the last."""
    if offset + 2 > data.size:
        raise TruncatedFile(
            f"{data.name} has {data.size} bytes; its image directory begins at byte {offset}."
        )
    count_form, entry_bytes, next_form = ("Q", 20, "Q") if big else ("H", 12, "I")
    count_bytes, next_bytes = struct.calcsize(count_form), struct.calcsize(next_form)
    (count,) = struct.unpack(order + count_form, read_exactly(data, offset, count_bytes))
    if count > 65535:
        raise TruncatedFile(f"{data.name} is damaged: a directory of {count} tags.")
    body = read_exactly(data, offset + count_bytes, count * entry_bytes + next_bytes)
    values: dict[int, int] = {}
    description: Span | None = None
    texts: dict[int, TextTag] = {}
    by_gdal = False
    for place, (tag, kind, number, value) in enumerate(_entries(body, count, order, big)):
        by_gdal = by_gdal or tag == GDAL_METADATA
        size = number * TYPE_BYTES.get(kind, 1)
        if size > MAX_TAG_BYTES:
            raise DecompressionBomb(
                f"{data.name}: tag {tag} declares {number} values; {MAX_TAG_BYTES} bytes are the "
                "most."
            )
        if size > len(value):
            (at,) = struct.unpack(order + next_form, value)
            if at + size > data.size:
                raise TruncatedFile(
                    f"{data.name} has {data.size} bytes; tag {tag} needs {at + size}."
                )
            description = (at, size) if tag == DESCRIPTION else description
            if tag in TEXTS and size == number:
                entry = offset + count_bytes + place * entry_bytes
                texts[tag] = TextTag(entry, order + next_form, (at, size))
        elif number == 1 and kind in INTEGERS:
            form = order + INTEGERS[kind]
            (values[tag],) = struct.unpack(form, value[: struct.calcsize(form)])
    (following,) = struct.unpack(order + next_form, body[-next_bytes:])
    return Directory(offset, values, description, texts, by_gdal), following


def _entries(
    body: bytes, count: int, order: str, big: bool
) -> Iterator[tuple[int, int, int, bytes]]:
    """Tag, type, number of values, and the bytes of the value or its offset."""
    form = order + ("HHQ8s" if big else "HHI4s")
    yield from struct.iter_unpack(form, body[: count * struct.calcsize(form)])

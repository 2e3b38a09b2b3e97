"""The classes of an ENVI classification file: `classes`, `class names`, `class lookup`."""

import dataclasses

from hsis.cube.classes import CubeClass, numbered_classes
from hsis.cube.layout import CubeInfo
from hsis.digits import natural
from hsis.envi import listed
from hsis_ingest.errors import HeaderMismatch, UnsupportedFormat
from hsis_ingest.formats.envi_header import EnviHeader

FILE_TYPE = "envi classification"
NO_CLASS = frozenset({"unclassified", "unlabelled", "unlabeled", "background", "none", "no data"})
"""Names of class 0 that say that it is none."""
MAX_CLASSES = 65_536


def with_classes(info: CubeInfo, header: EnviHeader, name: str) -> CubeInfo:
    """The description with the header's classes, where the file is a classification.

    Class 0 by a name that says so is the value for no data, unless the header names another.
    HeaderMismatch where the classes cannot be; `name` is the header's file.
    """
    if " ".join(header.fields.get("file type", "").lower().split()) != FILE_TYPE:
        return info
    if info.dtype.kind not in "iu" or info.bands != 1:
        raise UnsupportedFormat(
            f"{name} is a classification of {info.bands} bands of {info.dtype}; one band of "
            "integers is right."
        )
    titles = _titles(header, name)
    if info.nodata is None and titles and titles[0].lower() in NO_CLASS:
        info = dataclasses.replace(info, nodata=0.0)
    colours = _colours(header, len(titles), name)
    generated = ["000000", *(entry.colour for entry in numbered_classes(titles[1:]))]
    classes = (
        CubeClass(value, title, colour)
        for value, (title, colour) in enumerate(zip(titles, colours or generated, strict=True))
    )
    return dataclasses.replace(
        info, classes=tuple(entry for entry in classes if entry.value != info.nodata)
    )


def _titles(header: EnviHeader, name: str) -> list[str]:
    """One a class; `Class n` where the names, which may hold commas, cannot be told apart."""
    names = [" ".join(entry.split()) for entry in listed(header.fields.get("class names", ""))]
    text = header.fields.get("classes", str(len(names)))
    count = natural(text)
    if count is None or not 0 < count <= MAX_CLASSES:
        raise HeaderMismatch(
            f"{name}: classes = {text[:40]}; an integer from 1 to {MAX_CLASSES} is right."
        )
    if len(names) == count and all(names):
        return names
    return [f"Class {value}" for value in range(count)]


def _colours(header: EnviHeader, count: int, name: str) -> list[str] | None:
    """RRGGBB of each class; None where the header gives none."""
    entries = listed(header.fields.get("class lookup", ""))
    if not entries:
        return None
    if len(entries) != 3 * count:
        raise HeaderMismatch(
            f"{name} has {len(entries)} values of `class lookup` for {count} classes; red, green "
            "and blue of each are right."
        )
    if not all(e.isascii() and e.isdigit() and len(e) < 4 and int(e) < 256 for e in entries):
        raise HeaderMismatch(f"{name}: `class lookup` holds something that is no 0 to 255.")
    parts = [f"{int(entry):02X}" for entry in entries]
    return ["".join(parts[at : at + 3]) for at in range(0, len(parts), 3)]

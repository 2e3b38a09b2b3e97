"""Texts of files as JSON and Postgres can hold them."""

import dataclasses
import re

from hsis.cube.layout import CubeInfo
from hsis.texts import unescaped

_HALVES = re.compile("[\ud800-\udfff]")


def storable_text(text: str) -> str:
    """The text without what only some files hold: NUL, with which fields are filled up, is a space;
    a byte that is no UTF-8, which h5py tells as half a surrogate pair (PEP 383), the character that
    it is in Latin-1, as older programs write it; any other half the replacement character."""
    return _HALVES.sub("\ufffd", unescaped(text)).replace("\0", " ").strip()


def with_storable_texts(info: CubeInfo) -> CubeInfo:
    """The description with such texts alone."""
    names = info.band_names
    return dataclasses.replace(
        info,
        unit=None if info.unit is None else storable_text(info.unit) or None,
        band_names=None if names is None else tuple(map(storable_text, names)),
        classes=tuple(
            dataclasses.replace(entry, title=storable_text(entry.title)) for entry in info.classes
        ),
    )

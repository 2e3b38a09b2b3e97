"""What a stored cube's root says of the scene: when, where and with what it was measured."""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

Texts = Mapping[str, str]
NO_TEXTS: Texts = MappingProxyType({})
OF_THE_STORE = frozenset({"Conventions"})
OF_THE_WHOLE = "geospatial_"
"""Attributes that say where all of the cube lies begin so."""
ACQUIRED_AT, INSTRUMENT = "time_coverage_start", "instrument"


def scene_attributes(root: bytes, *, whole: bool) -> dict[str, Any]:
    """The attributes in the root's `zarr.json` that are true of an export, of a part of the cube
    too where `whole` is false."""
    found: Mapping[str, Any] = json.loads(root).get("attributes", {})
    return {
        name: value
        for name, value in found.items()
        if name not in OF_THE_STORE and (whole or not name.startswith(OF_THE_WHOLE))
    }


def as_texts(attributes: Mapping[str, Any]) -> dict[str, str]:
    """For formats whose attributes are texts: what is none is told as JSON."""
    return {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in attributes.items()
    }

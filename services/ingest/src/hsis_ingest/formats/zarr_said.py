"""What the attributes of a Zarr array say, by the CF conventions or as HSIS's own cubes have it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from hsis.cube.classes import CubeClass, classes_of_cf
from hsis_ingest.errors import HeaderMismatch
from hsis_ingest.formats.zarr_node import ZarrNode, number


def text(attributes: Mapping[str, Any], name: str) -> str | None:
    """A text that is not empty."""
    value = attributes.get(name)
    return value if isinstance(value, str) and value else None


def nodata(node: ZarrNode) -> float | None:
    """By CF, or as HSIS's own cubes say it."""
    for name in ("_FillValue", "missing_value", "nodata"):
        found = number(node.attributes.get(name))
        if found is not None:
            return found
    return None


def factor(node: ZarrNode, names: Sequence[str], default: float, where: str) -> float:
    """The first of the attributes that is there: CF's name, else that of HSIS's own cubes."""
    for name in names:
        given = node.attributes.get(name)
        if given is not None:
            value = number(given)
            if value is None or not math.isfinite(value) or (default == 1 and value == 0):
                raise HeaderMismatch(f"{where}: {name} = {given!r:.40} cannot be.")
            return value
    return default


def band_names(node: ZarrNode, bands: int) -> tuple[str, ...] | None:
    """Where there is one a band."""
    names = node.attributes.get("band_names")
    if isinstance(names, list) and len(names) == bands:
        return tuple(map(str, names))
    return None


def classes(node: ZarrNode, where: str) -> tuple[CubeClass, ...]:
    """Of a class map; HeaderMismatch where they cannot be."""
    try:
        return classes_of_cf(node.attributes)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise HeaderMismatch(f"{where}: its attributes `flag_…` do not fit each other.") from None

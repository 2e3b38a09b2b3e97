"""What the attributes of a Zarr array say, by the CF conventions or as HSIS's own cubes have it."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from hsis.cube.classes import CubeClass, classes_of_cf
from hsis.cube.gains import Gain
from hsis_ingest.errors import HeaderMismatch
from hsis_ingest.formats.gains import gain_of_attribute
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


def gain(node: ZarrNode, names: Sequence[str], default: float, bands: int, where: str) -> Gain:
    """The first of the attributes that is there: CF's name, of one number or one a band, else that
    of HSIS's own cubes, where a list may mean something else."""
    for name in names:
        given = node.attributes.get(name)
        if given is not None:
            listed = isinstance(given, list) and name == names[0]
            numbers = [number(one) for one in (given if listed else [given])]
            known = [value for value in numbers if value is not None]
            if len(known) < len(numbers):
                right = "a number is right" + (", or a list of one a band" if listed else "")
                raise HeaderMismatch(f"{where}: {name} = {given!r:.40} cannot be; {right}.")
            what = f"{where}: {name}"
            return gain_of_attribute(known, bands, what, zero_allowed=default == 0)
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
        found = classes_of_cf(node.attributes)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise HeaderMismatch(f"{where}: its attributes `flag_…` do not fit each other.") from None
    for each in found:
        if type(each.value) is not int or not isinstance(each.title, str):
            raise HeaderMismatch(
                f"{where}: the class {each.title!r:.40} has the value {each.value!r:.40}; "
                "`flag_values` of integers and `flag_titles` of texts are right."
            )
        if re.fullmatch(r"[0-9A-Fa-f]{6}", each.colour) is None:
            raise HeaderMismatch(
                f"{where}: `flag_colors` has {each.colour!r:.40}; colours such as #1F77B4 are "
                "right."
            )
    return found

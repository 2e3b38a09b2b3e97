"""The classes of a class map, and how CF and STAC say them."""

import colorsys
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

GOLDEN_RATIO = 0.618034
"""Hues at this distance (of the circle) from one to the next are easy to tell apart."""


@dataclass(frozen=True, slots=True)
class CubeClass:
    """A stored value that stands for a class; `colour` is RRGGBB, hexadecimal."""

    value: int
    title: str
    colour: str


def numbered_classes(titles: Sequence[str]) -> tuple[CubeClass, ...]:
    """The classes 1, 2, … with these titles, each in a colour of its own."""
    return tuple(CubeClass(n, title, _colour(n)) for n, title in enumerate(titles, 1))


def cf_attributes(classes: Sequence[CubeClass]) -> dict[str, Any]:
    """A flag variable as in CF 3.5. `flag_meanings` are names without blanks, so the titles are
    kept beside them."""
    return {
        "flag_values": [entry.value for entry in classes],
        "flag_meanings": " ".join(_names(classes)),
        "flag_colors": " ".join(f"#{entry.colour}" for entry in classes),
        "flag_titles": [entry.title for entry in classes],
    }


def classes_of_cf(attributes: Mapping[str, Any]) -> tuple[CubeClass, ...]:
    """The classes that `cf_attributes` wrote; none where there are no flags."""
    if "flag_titles" not in attributes:
        return ()
    colours = [colour.removeprefix("#") for colour in attributes["flag_colors"].split()]
    rows = zip(attributes["flag_values"], attributes["flag_titles"], colours, strict=True)
    return tuple(CubeClass(value, title, colour) for value, title, colour in rows)


def stac_classes(classes: Sequence[CubeClass], nodata: float | None) -> list[dict[str, Any]]:
    """`classification:classes` of STAC's extension 2.0, with an entry for `nodata`."""
    found: list[dict[str, Any]] = []
    if nodata is not None and nodata == int(nodata):
        entry = {"value": int(nodata), "name": "none", "title": "None", "nodata": True}
        found.append(entry | {"color_hint": "000000"})
    for name, each in zip(_names(classes), classes, strict=True):
        entry = {"value": each.value, "name": name, "title": each.title}
        found.append(entry | {"color_hint": each.colour})
    return found


def _names(classes: Sequence[CubeClass]) -> list[str]:
    """Names of letters, digits, `_` and `-`, no two alike."""
    names: list[str] = []
    for entry in classes:
        name = re.sub(r"[^A-Za-z0-9_-]+", "-", entry.title).strip("-") or f"class-{entry.value}"
        while name in {"none", *names}:
            name += f"-{entry.value}"
        names.append(name)
    return names


def _colour(value: int) -> str:
    rgb = colorsys.hsv_to_rgb(value * GOLDEN_RATIO % 1.0, 0.75, 0.9)
    return "".join(f"{round(part * 255):02X}" for part in rgb)

"""Classes of a class map as STAC's classification extension 2.0 has them."""

import colorsys
import re
from collections.abc import Sequence
from typing import Any

GOLDEN_RATIO = 0.618034
"""Hues at this distance (of the circle) from one to the next are easy to tell apart."""


def classification_classes(titles: Sequence[str]) -> tuple[dict[str, Any], ...]:
    """The entry of value 0, "none", and entries of the values 1, 2, … with these titles."""
    found: list[dict[str, Any]] = [
        {"value": 0, "name": "none", "title": "None", "nodata": True, "color_hint": "000000"}
    ]
    taken = {"none"}
    for value, title in enumerate(titles, 1):
        name = re.sub(r"[^A-Za-z0-9_-]+", "-", title).strip("-") or f"class-{value}"
        if name in taken:
            name = f"{name}-{value}"
        taken.add(name)
        entry = {"value": value, "name": name, "title": title, "color_hint": _colour(value)}
        found.append(entry)
    return tuple(found)


def _colour(value: int) -> str:
    rgb = colorsys.hsv_to_rgb(value * GOLDEN_RATIO % 1.0, 0.75, 0.9)
    return "".join(f"{round(part * 255):02X}" for part in rgb)

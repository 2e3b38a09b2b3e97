"""What must hold of a cube that a reader took: all that is said of it can be stored."""

import json
import math
from datetime import UTC, datetime

from hsis.contracts.metadata import CubeMetadata
from hsis.cube.acquisition import item_properties, store_attributes
from hsis.cube.layout import store_documents
from hsis.cube.stac import ItemParts, item_document
from hsis_ingest.footprint import footprint
from hsis_ingest.formats.source import Source
from hsis_ingest.given import describe, gridded

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MOST_BANDS_TOLD = 64
"""Documents of more take longer than all that is looked for."""


class NotStorable(Exception):
    """Postgres or JSON has no place for what a reader said."""


def require_storable(source: Source) -> None:
    """Make the documents of the cube as conversion does; NotStorable where one holds what nothing
    takes, which conversion would meet at its end and could not explain."""
    if source.info.bands > MOST_BANDS_TOLD:
        return
    said = CubeMetadata()
    described = describe(
        source.info,
        source.acquired_at,
        said,
        said,
        located=gridded(source.info) or source.outline is not None,
        properties=source.properties,
    )
    info, known = described.info, described.acquisition
    store_documents(info, store_attributes(known))
    properties = {"format": source.format_name, **source.properties, **item_properties(known)}
    parts = ItemParts(
        "c", "i", info, footprint(info, source.outline), known.acquired_at, NOW, properties
    )
    _check(item_document(parts))


def _check(document: object) -> None:
    """As Postgres takes JSON: no NaN, no half of a surrogate pair, no U+0000."""
    waiting = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += [*value, *value.values()]
        elif isinstance(value, list | tuple):
            waiting += value
        elif isinstance(value, float) and not math.isfinite(value):
            raise NotStorable(f"{value} in {json.dumps(document)[:2000]}")
        elif isinstance(value, str) and "\0" in value:
            raise NotStorable(f"U+0000 in {value!r}")
        elif isinstance(value, str):
            value.encode()

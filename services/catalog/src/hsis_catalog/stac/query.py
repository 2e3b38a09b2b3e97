"""Item searches: their parameters, and the tokens of their pages."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from hsis_catalog.errors import InvalidQuery
from hsis_catalog.settings import Settings
from hsis_catalog.stac.boxes import Box, box_of
from hsis_catalog.stac.documents import instant
from hsis_catalog.stac.geometries import Region, region_of

DEFAULT_LIMIT = 10
MAX_NAMES = 10_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TOKEN = re.compile(r"(-?\d{1,18})\.(\d{1,18})", re.ASCII)
_PARAMETERS = frozenset({"collections", "ids", "bbox", "intersects", "datetime", "limit", "token"})


@dataclass(frozen=True, slots=True)
class ItemQuery:
    """A search; None is no condition, times are inclusive.

    `box` is that of `region` where there is one. `after` is the place of the last item of the page
    before: its start and sequence number.
    """

    limit: int
    collections: list[str] | None = None
    ids: list[str] | None = None
    box: Box | None = None
    region: Region | None = None
    start: datetime | None = None
    end: datetime | None = None
    after: tuple[datetime, int] | None = None


def from_parameters(pairs: list[tuple[str, str]], settings: Settings) -> ItemQuery:
    """The query of a GET request, its lists separated by commas, its geometry a JSON text."""
    parameters = dict(pairs)
    if len(parameters) != len(pairs):
        raise InvalidQuery("Each parameter may be given once; lists are separated by commas.")
    body: dict[str, Any] = dict(parameters)
    for name in ("collections", "ids"):
        if name in body:
            body[name] = [part for part in body[name].split(",") if part]
    try:
        if "bbox" in body:
            body["bbox"] = [float(part) for part in body["bbox"].split(",")]
    except ValueError:
        raise InvalidQuery(
            f"bbox is {parameters['bbox']!r}; west,south,east,north is right."
        ) from None
    if "intersects" in body:
        body["intersects"] = _json(body["intersects"])
    if "limit" in body:
        body["limit"] = int(body["limit"]) if re.fullmatch(r"\d{1,9}", body["limit"]) else None
    return from_body(body, settings)


def from_body(body: Mapping[str, Any], settings: Settings) -> ItemQuery:
    """The query of a POST request. InvalidQuery for a value that cannot be or a parameter that
    this server does not know, as ignoring a condition would answer with the wrong items."""
    unknown = sorted(set(body) - _PARAMETERS)
    if unknown:
        raise InvalidQuery(
            f"{', '.join(unknown)}: not known here; right are {', '.join(sorted(_PARAMETERS))}."
        )
    limit = body.get("limit", DEFAULT_LIMIT)
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        raise InvalidQuery("limit must be a whole number from 1.")
    start, end = _interval(body.get("datetime"))
    box, region = _space(body, settings.search_positions_max)
    return ItemQuery(
        limit=min(limit, settings.search_limit_max),
        collections=_names(body, "collections"),
        ids=_names(body, "ids"),
        box=box,
        region=region,
        start=start,
        end=end,
        after=_place(body["token"]) if body.get("token") is not None else None,
    )


def page_token(starts_at: datetime, seq: int) -> str:
    """The token for the page after the item in that place."""
    return f"{(starts_at - _EPOCH) // timedelta(microseconds=1)}.{seq}"


def _place(token: object) -> tuple[datetime, int]:
    match = _TOKEN.fullmatch(token) if isinstance(token, str) else None
    try:
        if match:
            return _EPOCH + timedelta(microseconds=int(match[1])), int(match[2])
    except OverflowError:
        pass
    raise InvalidQuery("token must be one from the link `next` of an answer.")


def _names(body: Mapping[str, Any], name: str) -> list[str] | None:
    names = body.get(name)
    if names is None:
        return None
    if not isinstance(names, list) or not all(isinstance(entry, str) for entry in names):
        raise InvalidQuery(f"{name} must be a list of texts.")
    if len(names) > MAX_NAMES:
        raise InvalidQuery(f"{name} must be at most {MAX_NAMES} ids.")
    return names or None


def _space(body: Mapping[str, Any], positions_max: int) -> tuple[Box | None, Region | None]:
    bbox, geometry = body.get("bbox"), body.get("intersects")
    if bbox is not None and geometry is not None:
        raise InvalidQuery("intersects and bbox: only one of them may be given.")
    try:
        if geometry is not None:
            region = region_of(geometry, positions_max)
            return region.box, region
        return (None if bbox is None else box_of(bbox, "bbox")), None
    except ValueError as error:
        raise InvalidQuery(str(error)) from None


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidQuery("intersects must be a GeoJSON geometry as JSON, URL-encoded.") from None


def _interval(text: object) -> tuple[datetime | None, datetime | None]:
    if text is None:
        return None, None
    parts = text.split("/") if isinstance(text, str) else []
    try:
        if len(parts) == 1:
            moment = instant(parts[0], "datetime")
            return moment, moment
        if len(parts) == 2:
            ends = [None if part in ("", "..") else instant(part, "datetime") for part in parts]
            start, end = ends
            ordered = start is None or end is None or start <= end
            if ordered and ends != [None, None]:
                return start, end
    except ValueError as error:
        raise InvalidQuery(str(error)) from None
    raise InvalidQuery(
        "datetime must be a time, start/end, ../end or start/.., the earlier time first."
    )

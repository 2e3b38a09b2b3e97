"""Item search over the table `items`, newest first."""

import asyncio
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hsis.service.postgres import Connection
from hsis_catalog.repository.collections import VISIBLE, Reach
from hsis_catalog.stac.geometries import TURNS, Region
from hsis_catalog.stac.query import ItemQuery

Place = tuple[datetime, int]
"""An item's place in the order of lists: its start and its sequence number."""

CANDIDATES_AT_ONCE = 2_000
"""Geometries in memory while a search by geometry goes over those whose boxes meet."""


@dataclass(frozen=True, slots=True)
class Page:
    """Items without their bands, how many match in all, and the place of the page's last item
    where more follow."""

    summaries: list[dict[str, Any]]
    matched: int
    last: Place | None


async def search(connection: Connection, reach: Reach, query: ItemQuery) -> Page:
    """At most `query.limit` items after `query.after`."""
    values: list[Any] = [reach.everything, reach.user, reach.only]
    # Only literals and parameter numbers become part of the SQL.
    where = f"collection_id IN ({VISIBLE})" + _conditions(query, values)
    if query.region is not None:
        return await _search_region(connection, query, query.region, where, values)
    matched: int = await connection.fetchval(
        f"SELECT count(*) FROM items WHERE {where}",  # noqa: S608
        *values,
    )
    if query.after is not None:
        where += f" AND (starts_at, seq) < (${len(values) + 1}, ${len(values) + 2})"
        values += query.after
    values.append(query.limit + 1)
    rows = await connection.fetch(
        f"SELECT starts_at, seq, summary FROM items WHERE {where}"  # noqa: S608
        f" ORDER BY starts_at DESC, seq DESC LIMIT ${len(values)}",
        *values,
    )
    page = rows[: query.limit]
    return Page(
        summaries=[json.loads(row["summary"]) for row in page],
        matched=matched,
        last=(page[-1]["starts_at"], page[-1]["seq"]) if len(rows) > query.limit else None,
    )


async def _search_region(
    connection: Connection, query: ItemQuery, region: Region, where: str, values: list[Any]
) -> Page:
    """Goes once over the items whose boxes meet the region's, and keeps the places of one page."""
    cursor = await connection.cursor(
        "SELECT starts_at, seq, geometry::text, (footprint[0])[0] > 180 AS crossing"  # noqa: S608
        f" FROM items WHERE {where} ORDER BY starts_at DESC, seq DESC",
        *values,
    )
    matched, places = 0, list[Place]()
    while rows := await cursor.fetch(CANDIDATES_AT_ONCE):
        met = await asyncio.to_thread(
            region.meets, [row["geometry"] for row in rows], [row["crossing"] for row in rows]
        )
        matched += int(met.sum())
        wanted = query.limit + 1 - len(places)
        found = [
            (row["starts_at"], row["seq"]) for row, meets in zip(rows, met, strict=True) if meets
        ]
        places += [place for place in found if query.after is None or place < query.after][:wanted]
    page = places[: query.limit]
    summaries = await connection.fetch(
        "SELECT summary FROM items JOIN unnest($1::timestamptz[], $2::bigint[])"
        " AS place (starts_at, seq) USING (starts_at, seq) ORDER BY starts_at DESC, seq DESC",
        [starts_at for starts_at, _ in page],
        [seq for _, seq in page],
    )
    return Page(
        summaries=[json.loads(row["summary"]) for row in summaries],
        matched=matched,
        last=page[-1] if len(places) > query.limit else None,
    )


def _conditions(query: ItemQuery, values: list[Any]) -> str:
    """The query's conditions, each beginning with AND; their values are added to `values`."""

    def parameter(value: Any) -> str:
        values.append(value)
        return f"${len(values)}"

    text = ""
    if query.collections is not None:
        text += f" AND collection_id = ANY ({parameter(query.collections)}::text[])"
    if query.ids is not None:
        text += f" AND id = ANY ({parameter(query.ids)}::text[])"
    if query.start is not None:
        text += f" AND ends_at >= {parameter(query.start)}"
    if query.end is not None:
        text += f" AND starts_at <= {parameter(query.end)}"
    if query.box is not None:
        west, south, east, north = query.box
        boxes = []
        for turn in TURNS:
            corners = [parameter(v) for v in (west + turn, south, east + turn, north)]
            w, s, e, n = (f"{corner}::float8" for corner in corners)
            boxes.append(f"footprint && box(point({w}, {s}), point({e}, {n}))")
        text += f" AND ({' OR '.join(boxes)})"
    return text

"""SQL of the look for orphans."""

import asyncpg


async def unknown(db: asyncpg.Connection, prefixes: list[str]) -> list[str]:
    """Those of the prefixes that no upload or transfer needs that is on its way, and none whose
    objects are still to be removed, in their order."""
    rows = await db.fetch(
        "SELECT prefix FROM unnest($1::text[]) WITH ORDINALITY AS wanted (prefix, place)"
        " WHERE NOT EXISTS (SELECT 1 FROM uploads"
        "  WHERE (state IN ('receiving', 'queued', 'converting') OR purge) AND (prefix IN ("
        "   'raw/' || collection || '/' || id || '/',"
        "   'raw/' || collection || '/' || originals || '/',"
        "   'raw/' || collection || '/' || parent || '/',"
        "   'cubes/' || collection || '/' || item || '/') OR prefix = ANY (kept_prefixes)))"
        " AND NOT EXISTS (SELECT 1 FROM transfers WHERE (state = 'receiving' OR purge)"
        "  AND prefix = 'staging/transfers/' || id || '/')"
        " ORDER BY place",
        prefixes,
    )
    return [row["prefix"] for row in rows]

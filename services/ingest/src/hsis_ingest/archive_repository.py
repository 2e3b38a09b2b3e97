"""Uploads that are scenes of an archive: all SQL of it."""

import uuid
from collections.abc import Sequence
from uuid import UUID

import asyncpg

from hsis.errors import Problem


async def begin(db: asyncpg.Connection, archive: UUID, token: UUID) -> bool:
    """An archive is being unpacked: it holds no item any more, and what an earlier attempt made of
    it is given up. False where the lease is lost."""
    held = await db.fetchval(
        "UPDATE uploads SET unpacked = true"
        " WHERE id = $1 AND lease_token = $2 AND state = 'converting' RETURNING true",
        archive,
        token,
    )
    return bool(held) and await give_up_scenes(db, archive, token)


async def give_up_scenes(db: asyncpg.Connection, archive: UUID, token: UUID) -> bool:
    """Give up the scenes that wait for the end of the unpacking; False where the lease is lost."""
    held = await db.fetchval(
        "SELECT true FROM uploads WHERE id = $1 AND lease_token = $2 FOR UPDATE", archive, token
    )
    if held:
        await db.execute(
            "UPDATE uploads SET state = 'failed', purge = true, discarded = true,"
            " expires_at = NULL WHERE parent = $1"
            " AND (state = 'receiving' OR (state = 'failed' AND NOT purge))",
            archive,
        )
    return bool(held)


async def add_scene(
    db: asyncpg.Connection,
    archive: UUID,
    item: str,
    files: Sequence[tuple[str, int]],
    ttl_s: float,
) -> UUID:
    """An upload of a scene, with the options of its archive; names and sizes of its files.

    asyncpg.UniqueViolationError where another upload is making the item.
    """
    made = uuid.uuid4()
    await _copy(db, archive, made, item, "receiving", None, ttl_s)
    await db.executemany(
        "INSERT INTO files (upload, position, name, declared_size) VALUES ($1, $2, $3, $4)",
        [(made, place, name, size) for place, (name, size) in enumerate(files)],
    )
    return made


async def add_failed_scene(
    db: asyncpg.Connection, archive: UUID, item: str, problem: Problem
) -> None:
    """An upload of a scene that can make no item, and why."""
    await _copy(db, archive, uuid.uuid4(), item, "failed", problem, None)


async def finish(db: asyncpg.Connection, archive: UUID, token: UUID) -> bool:
    """Queue the scenes, and end the archive's own upload; its file is to be removed, since those in
    it are kept now. False where the lease is lost."""
    held = await db.fetchval(
        "UPDATE uploads SET state = 'succeeded', progress = 1, error = NULL, purge = true,"
        " expires_at = NULL, lease_token = NULL, lease_until = NULL"
        " WHERE id = $1 AND lease_token = $2 AND state = 'converting' RETURNING true",
        archive,
        token,
    )
    if held:
        await db.execute(
            "UPDATE uploads SET state = 'queued', expires_at = NULL, run_after = now()"
            " WHERE parent = $1 AND state = 'receiving'",
            archive,
        )
    return bool(held)


async def _copy(
    db: asyncpg.Connection,
    archive: UUID,
    made: UUID,
    item: str,
    state: str,
    problem: Problem | None,
    ttl_s: float | None,
) -> None:
    await db.execute(
        "INSERT INTO uploads SELECT (jsonb_populate_record(archive, jsonb_build_object("
        " 'id', $2::uuid, 'item', $3::text, 'state', $4::text, 'error', $5::jsonb,"
        " 'expires_at', now() + make_interval(secs => $6), 'parent', $1::uuid,"
        " 'unpacked', false, 'progress', 0, 'attempts', 0, 'created_at', clock_timestamp(),"
        " 'lease_token', NULL, 'lease_until', NULL, 'purge', false, 'discarded', false,"
        " 'owner', NULL, 'group_name', NULL, 'named', true))).*"
        " FROM uploads AS archive WHERE id = $1",
        archive,
        made,
        item,
        state,
        None if problem is None else problem.model_dump_json(exclude_none=True),
        ttl_s,
    )

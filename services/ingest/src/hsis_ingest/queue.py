"""The durable queue of conversions: leases fenced by a token, on the database's clock.

A job is an upload in state `queued`, or `converting` with a lease that ran out. Everything that
its worker changes is changed `WHERE lease_token = …`: a worker that lost its lease cannot.
"""

import json
from uuid import UUID

import asyncpg

from hsis.contracts.metadata import CubeMetadata
from hsis.errors import Problem
from hsis_ingest import repository
from hsis_ingest.rows import UploadRow


async def claim(
    db: asyncpg.Connection, token: UUID, lease_s: float, max_attempts: int
) -> UploadRow | None:
    """Lease the oldest job that is due; None where there is none."""
    upload = await db.fetchval(
        "UPDATE uploads SET state = 'converting', attempts = attempts + 1, progress = 0,"
        " lease_token = $1, lease_until = now() + make_interval(secs => $2)"
        " WHERE id = (SELECT id FROM uploads"
        "  WHERE (state = 'queued' AND run_after <= now())"
        "  OR (state = 'converting' AND lease_until < now() AND attempts < $3 AND NOT purge)"
        "  ORDER BY created_at LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING id",
        token,
        lease_s,
        max_attempts,
    )
    return None if upload is None else await repository.find(db, upload)


async def renew(db: asyncpg.Connection, token: UUID, lease_s: float) -> bool:
    """Keep a lease; False where it is lost."""
    return (
        await db.fetchval(
            "UPDATE uploads SET lease_until = now() + make_interval(secs => $2)"
            " WHERE lease_token = $1 AND state = 'converting' RETURNING true",
            token,
            lease_s,
        )
        or False
    )


async def note_progress(db: asyncpg.Connection, token: UUID, progress: float) -> bool:
    """Say how far the job is, 0 to 1; False where the lease is lost."""
    return (
        await db.fetchval(
            "UPDATE uploads SET progress = $2"
            " WHERE lease_token = $1 AND state = 'converting' RETURNING true",
            token,
            progress,
        )
        or False
    )


async def note_template(db: asyncpg.Connection, token: UUID, template: CubeMetadata) -> bool:
    """Keep what the collection's template says of the cube; False where the lease is lost."""
    return (
        await db.fetchval(
            "UPDATE uploads SET template = $2"
            " WHERE lease_token = $1 AND state = 'converting' RETURNING true",
            token,
            json.dumps(template.said()),
        )
        or False
    )


async def succeed(db: asyncpg.Connection, token: UUID) -> bool:
    """End the job well; False where the lease is lost."""
    return (
        await db.fetchval(
            "UPDATE uploads SET state = 'succeeded', progress = 1, error = NULL,"
            " lease_token = NULL, lease_until = NULL, restored = NULL"
            " WHERE lease_token = $1 AND state = 'converting' RETURNING true",
            token,
        )
        or False
    )


async def condemn(db: asyncpg.Connection, token: UUID, problem: Problem) -> bool:
    """Say why the job fails; it is `failed` once its objects are removed (upload_sweep.purged).

    False where the lease is lost.
    """
    return (
        await db.fetchval(
            "UPDATE uploads SET error = $2, purge = true"
            " WHERE lease_token = $1 AND state = 'converting' RETURNING true",
            token,
            problem.model_dump_json(exclude_none=True),
        )
        or False
    )


async def retry(db: asyncpg.Connection, token: UUID, delay_s: float) -> bool:
    """Put the job back for another attempt after `delay_s`; False where the lease is lost."""
    return (
        await db.fetchval(
            "UPDATE uploads SET state = 'queued', lease_token = NULL, lease_until = NULL,"
            " run_after = now() + make_interval(secs => $2)"
            " WHERE lease_token = $1 AND state = 'converting' RETURNING true",
            token,
            delay_s,
        )
        or False
    )


async def give_back(db: asyncpg.Connection, token: UUID, delay_s: float = 0.0) -> None:
    """Put the job back as if it had not been tried: its worker shuts down, or another part of the
    platform is away, which is no fault of the job."""
    await db.execute(
        "UPDATE uploads SET state = 'queued', lease_token = NULL, lease_until = NULL,"
        " attempts = attempts - 1, run_after = now() + make_interval(secs => $2)"
        " WHERE lease_token = $1 AND state = 'converting'",
        token,
        delay_s,
    )


async def fail(db: asyncpg.Connection, token: UUID, problem: Problem, keep_s: float) -> bool:
    """End the job badly for a reason that may not lie in its files: these are kept for `keep_s`,
    so that it can be tried again (repository.requeue). False where the lease is lost."""
    return (
        await db.fetchval(
            "UPDATE uploads SET state = 'failed', error = $2, purge = true,"
            " expires_at = now() + make_interval(secs => $3),"
            " lease_token = NULL, lease_until = NULL"
            " WHERE lease_token = $1 AND state = 'converting' RETURNING true",
            token,
            problem.model_dump_json(exclude_none=True),
            keep_s,
        )
        or False
    )


async def fail_abandoned(
    db: asyncpg.Connection, max_attempts: int, problem: Problem, keep_s: float
) -> list[UploadRow]:
    """Fail the jobs whose every attempt ended without a word, as `fail` does; which."""
    rows = await db.fetch(
        "UPDATE uploads SET state = 'failed', error = $2, purge = true,"
        " expires_at = now() + make_interval(secs => $3),"
        " lease_token = NULL, lease_until = NULL"
        " WHERE state = 'converting' AND lease_until < now() AND attempts >= $1 AND NOT purge"
        " RETURNING id",
        max_attempts,
        problem.model_dump_json(exclude_none=True),
        keep_s,
    )
    return [await repository.find(db, row["id"]) for row in rows]

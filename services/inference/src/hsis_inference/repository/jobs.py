"""The table `jobs`. Whoever changes blocks and their job locks the job's row first."""

import json
import uuid
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import asyncpg

from hsis.contracts.jobs import JobStatus
from hsis.errors import Conflict, Problem
from hsis.service.postgres import Connection
from hsis_inference.jobs import Job, JobState, NewJob, Phase, total_blocks
from hsis_inference.processes.base import Plan
from hsis_inference.repository import blocks

SWEEP_LEASE_S = 60.0
SETTLE_S = 1.0
"""A claim that was on its way when its job ended is seen by then."""


STATE = (
    "id, process, owner, collection, source_item, result_item, phases, block_count, phase,"
    " done_blocks, devices, status, error, created_at, started_at, finished_at, updated_at"
)
"""The columns of a JobState, a literal in the SQL below. The others can be megabytes and are read
by workers alone."""


async def create(connection: Connection, new: NewJob) -> JobState:
    """The stored job with the blocks of its first phase; Conflict when another job writes to the
    same result."""
    try:
        row = await connection.fetchrow(
            "INSERT INTO jobs (id, process, owner, collection, source_item, result_item,"  # noqa: S608
            " parameters, plan, source, phases, block_count, total_blocks)"
            f" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) RETURNING {STATE}",
            new.id,
            new.process,
            new.owner,
            new.collection,
            new.source_item,
            new.result_item,
            json.dumps(new.parameters),
            new.plan.model_dump_json(),
            json.dumps(new.source),
            [str(phase) for phase in new.phases],
            new.block_count,
            total_blocks(new.phases, new.block_count),
        )
    except asyncpg.UniqueViolationError:
        raise Conflict(
            f"id: another job writes to {new.result_item!r} in {new.collection!r}, or what it left "
            "is still being removed; choose another id or wait."
        ) from None
    job = state_of(row)
    await blocks.open_phase(connection, job.id, 0, job.current_phase, job.block_count)
    return job


async def get(connection: Connection, job: uuid.UUID) -> JobState | None:
    """The job, unless it is forgotten."""
    row = await connection.fetchrow(
        f"SELECT {STATE} FROM jobs WHERE id = $1 AND NOT forgotten",  # noqa: S608
        job,
    )
    return state_of(row) if row else None


async def visible(
    connection: Connection,
    owner: str,
    collections: Sequence[str],
    only: Sequence[str] | None,
    limit: int,
) -> list[JobState]:
    """The newest jobs of that owner or in those collections; `only` are the collections that the
    token is limited to."""
    rows = await connection.fetch(
        f"SELECT {STATE} FROM jobs WHERE NOT forgotten AND (owner = $1 OR collection = ANY ($2))"  # noqa: S608
        " AND ($3::text[] IS NULL OR collection = ANY ($3))"
        " ORDER BY created_at DESC, id LIMIT $4",
        owner,
        list(collections),
        None if only is None else list(only),
        limit,
    )
    return [state_of(row) for row in rows]


async def lock(connection: Connection, job: uuid.UUID) -> JobState | None:
    """The job with its row locked until the transaction ends."""
    row = await connection.fetchrow(
        f"SELECT {STATE} FROM jobs WHERE id = $1 FOR UPDATE",  # noqa: S608
        job,
    )
    return state_of(row) if row else None


async def start(connection: Connection, job: uuid.UUID) -> Job | None:
    """The job, running from now on at the latest; None where it ended."""
    row = await connection.fetchrow(
        "UPDATE jobs SET status = 'running', started_at = coalesce(started_at, now()),"  # noqa: S608
        " updated_at = CASE WHEN status = 'accepted' THEN now() ELSE updated_at END"
        " WHERE id = $1 AND status IN ('accepted', 'running')"
        f" RETURNING {STATE}, parameters, plan, source",
        job,
    )
    return job_of(row) if row else None


async def model(connection: Connection, job: uuid.UUID) -> bytes | None:
    """What its phase `reduce` made."""
    found: bytes | None = await connection.fetchval("SELECT model FROM jobs WHERE id = $1", job)
    return found


async def count_block(connection: Connection, job: uuid.UUID, device: str) -> None:
    """One more block is done, on that device."""
    await connection.execute(
        "UPDATE jobs SET done_blocks = done_blocks + 1, updated_at = now(),"
        " devices = CASE WHEN $2 = ANY (devices) THEN devices ELSE devices || $2 END"
        " WHERE id = $1",
        job,
        device,
    )


async def keep_model(connection: Connection, job: uuid.UUID, content: bytes) -> None:
    """Keep what the phase `reduce` made."""
    await connection.execute("UPDATE jobs SET model = $2 WHERE id = $1", job, content)


async def advance(connection: Connection, job: JobState) -> None:
    """Open the next phase, or end the job as successful after the last."""
    following = job.phase + 1
    if following == len(job.phases):
        # The objects are the item's from here on.
        await connection.execute(
            "UPDATE jobs SET status = 'successful', holds_prefix = false, model = NULL,"
            " finished_at = now(), updated_at = now() WHERE id = $1",
            job.id,
        )
        await connection.execute("DELETE FROM blocks WHERE job_id = $1", job.id)
        return
    await connection.execute("UPDATE jobs SET phase = $2 WHERE id = $1", job.id, following)
    await blocks.open_phase(connection, job.id, following, job.phases[following], job.block_count)


async def end(
    connection: Connection, job: uuid.UUID, status: JobStatus, error: Problem | None = None
) -> bool:
    """End a job without a result; False when it had ended already."""
    found = await connection.fetchval(
        "UPDATE jobs SET status = $2, error = $3, model = NULL, finished_at = now(),"
        " updated_at = now() WHERE id = $1 AND status IN ('accepted', 'running') RETURNING true",
        job,
        str(status),
        None if error is None else error.model_dump_json(exclude_none=True),
    )
    return bool(found)


async def forget(connection: Connection, job: uuid.UUID) -> None:
    """Do not tell of an ended job any more; its row goes once nothing is left to be removed."""
    await connection.execute("DELETE FROM jobs WHERE id = $1 AND NOT holds_prefix", job)
    await connection.execute("UPDATE jobs SET forgotten = true WHERE id = $1", job)


async def claim_sweep(connection: Connection, token: uuid.UUID) -> JobState | None:
    """A job that ended without a result and that no worker writes for any more, leased."""
    row = await connection.fetchrow(
        "UPDATE jobs SET sweep_token = $1, sweep_until = now() + make_interval(secs => $2)"  # noqa: S608
        " WHERE id = (SELECT id FROM jobs WHERE holds_prefix AND status IN ('failed', 'dismissed')"
        " AND (sweep_until IS NULL OR sweep_until <= now())"
        " AND finished_at <= now() - make_interval(secs => $3)"
        " AND NOT EXISTS (SELECT FROM blocks WHERE job_id = jobs.id"
        " AND lease_token IS NOT NULL AND lease_until > now())"
        f" ORDER BY finished_at LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING {STATE}",
        token,
        SWEEP_LEASE_S,
        SETTLE_S,
    )
    return state_of(row) if row else None


async def finish_sweep(connection: Connection, job: uuid.UUID, token: uuid.UUID) -> None:
    """Nothing of the job is stored any more; no effect where the lease was lost."""
    swept = await connection.fetchval(
        "UPDATE jobs SET holds_prefix = false, sweep_token = NULL"
        " WHERE id = $1 AND sweep_token = $2 RETURNING true",
        job,
        token,
    )
    if swept:
        await connection.execute("DELETE FROM blocks WHERE job_id = $1", job)
        await connection.execute("DELETE FROM jobs WHERE id = $1 AND forgotten", job)


def state_of(row: Any) -> JobState:
    """The job of a row of the columns STATE."""
    return JobState(**_state(row))


def job_of(row: Any) -> Job:
    """The job of a row of the columns STATE and of those that workers need."""
    return Job(
        **_state(row),
        parameters=json.loads(row["parameters"]),
        plan=Plan.model_validate_json(row["plan"]),
        source=json.loads(row["source"]),
    )


def _state(row: Any) -> dict[str, Any]:
    error = row["error"]
    return {field.name: row[field.name] for field in fields(JobState)} | {
        "phases": tuple(Phase(phase) for phase in row["phases"]),
        "devices": tuple(row["devices"]),
        "status": JobStatus(row["status"]),
        "error": None if error is None else Problem.model_validate_json(error),
    }

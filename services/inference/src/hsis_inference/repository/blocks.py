"""The table `blocks`: leases with an end by the database's clock, fenced by their tokens."""

import uuid
from dataclasses import dataclass

from hsis.service.postgres import Connection
from hsis_inference.jobs import Phase, blocks_in


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on one block until the lease ends; `attempts` includes this one."""

    job: uuid.UUID
    phase: int
    index: int
    token: uuid.UUID
    attempts: int


@dataclass(frozen=True, slots=True)
class Exhausted:
    """A block whose last attempt ended without an answer."""

    job: uuid.UUID
    index: int
    attempts: int
    error: str | None


async def open_phase(
    connection: Connection, job: uuid.UUID, number: int, phase: Phase, block_count: int
) -> None:
    """Make the blocks of a phase, and remove those of the phase before last and earlier.

    The last phase's stay, since `reduce` reads what `gather` left.
    """
    await connection.execute("DELETE FROM blocks WHERE job_id = $1 AND phase < $2", job, number - 1)
    await connection.execute(
        "INSERT INTO blocks (job_id, phase, index)"
        " SELECT $1, $2, index FROM generate_series(0, $3 - 1) AS index",
        job,
        number,
        blocks_in(phase, block_count),
    )


async def claim(
    connection: Connection, worker: str, lease_s: float, max_attempts: int
) -> Lease | None:
    """The next open block, leased under a fresh token; None where there is none."""
    row = await connection.fetchrow(
        "WITH found AS (SELECT b.job_id, b.phase, b.index FROM blocks b"
        " JOIN jobs j ON j.id = b.job_id"
        " WHERE b.state = 'open' AND (b.lease_until IS NULL OR b.lease_until <= now())"
        " AND b.attempts < $4 AND j.status IN ('accepted', 'running')"
        " ORDER BY j.created_at, b.job_id, b.index LIMIT 1 FOR UPDATE OF b SKIP LOCKED)"
        " UPDATE blocks b SET lease_token = $1, worker = $2, attempts = b.attempts + 1,"
        " lease_until = now() + make_interval(secs => $3) FROM found"
        " WHERE (b.job_id, b.phase, b.index) = (found.job_id, found.phase, found.index)"
        " RETURNING b.job_id, b.phase, b.index, b.lease_token, b.attempts",
        uuid.uuid4(),
        worker,
        lease_s,
        max_attempts,
    )
    if row is None:
        return None
    return Lease(row["job_id"], row["phase"], row["index"], row["lease_token"], row["attempts"])


async def renew(connection: Connection, lease: Lease, lease_s: float) -> bool:
    """Whether the lease is still held and its job goes on; its end is then put off."""
    return bool(
        await connection.fetchval(
            "UPDATE blocks b SET lease_until = now() + make_interval(secs => $5) FROM jobs j"
            " WHERE b.job_id = $1 AND b.phase = $2 AND b.index = $3 AND b.lease_token = $4"
            " AND b.state = 'open' AND j.id = b.job_id AND j.status IN ('accepted', 'running')"
            " RETURNING true",
            *_key(lease),
            lease_s,
        )
    )


async def finish(connection: Connection, lease: Lease, result: bytes | None) -> bool:
    """Mark the block done and keep its result; False where the lease is another's by now."""
    return bool(
        await connection.fetchval(
            "UPDATE blocks SET state = 'done', lease_token = NULL, lease_until = NULL, result = $5"
            " WHERE job_id = $1 AND phase = $2 AND index = $3 AND lease_token = $4"
            " AND state = 'open' RETURNING true",
            *_key(lease),
            result,
        )
    )


async def open_blocks(connection: Connection, job: uuid.UUID, phase: int) -> bool:
    """Whether the phase has a block that is not done."""
    return bool(
        await connection.fetchval(
            "SELECT EXISTS (SELECT FROM blocks WHERE job_id = $1 AND phase = $2"
            " AND state = 'open')",
            job,
            phase,
        )
    )


async def result(connection: Connection, job: uuid.UUID, phase: int, index: int) -> bytes | None:
    """What a block left; None where its row is gone."""
    found: bytes | None = await connection.fetchval(
        "SELECT result FROM blocks WHERE job_id = $1 AND phase = $2 AND index = $3",
        job,
        phase,
        index,
    )
    return found


async def results(connection: Connection, job: uuid.UUID, phase: int) -> list[bytes]:
    """What the blocks of a phase left, in their order."""
    rows = await connection.fetch(
        "SELECT result FROM blocks WHERE job_id = $1 AND phase = $2 AND result IS NOT NULL"
        " ORDER BY index",
        job,
        phase,
    )
    return [row["result"] for row in rows]


async def hand_back(connection: Connection, lease: Lease) -> None:
    """Let others claim the block at once, as if this attempt had not been."""
    await connection.execute(
        "UPDATE blocks SET lease_token = NULL, lease_until = NULL, attempts = attempts - 1"
        " WHERE job_id = $1 AND phase = $2 AND index = $3 AND lease_token = $4",
        *_key(lease),
    )


async def give_up(connection: Connection, lease: Lease, error: str, delay_s: float) -> bool:
    """Let others claim the block after a while; False where the lease is another's by now."""
    return bool(
        await connection.fetchval(
            "UPDATE blocks SET lease_token = NULL, error = $5,"
            " lease_until = now() + make_interval(secs => $6)"
            " WHERE job_id = $1 AND phase = $2 AND index = $3 AND lease_token = $4"
            " AND state = 'open' RETURNING true",
            *_key(lease),
            error,
            delay_s,
        )
    )


async def exhausted(connection: Connection, max_attempts: int) -> list[Exhausted]:
    """Blocks of running jobs that nobody works on and nobody may claim any more."""
    rows = await connection.fetch(
        "SELECT b.job_id, b.index, b.attempts, b.error FROM blocks b JOIN jobs j ON j.id = b.job_id"
        " WHERE b.state = 'open' AND b.attempts >= $1 AND b.lease_until <= now()"
        " AND j.status IN ('accepted', 'running')",
        max_attempts,
    )
    return [Exhausted(row["job_id"], row["index"], row["attempts"], row["error"]) for row in rows]


def _key(lease: Lease) -> tuple[uuid.UUID, int, int, uuid.UUID]:
    return lease.job, lease.phase, lease.index, lease.token

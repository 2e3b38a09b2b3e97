"""A killed ingest or inference process: the right result once, and nothing astray."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import numpy as np
import psutil
import pytest
from tests.support.api import Session, open_cube, session
from tests.support.embedded import QUICK_PASSWORDS
from tests.support.stacks import stack_in

from hsis.contracts.jobs import JobStatus
from hsis.contracts.uploads import UploadState
from hsis.cube.layout import store_documents
from hsis.cube.reader import StoredCube
from hsis_embedded.postgres import DATABASE
from hsis_embedded.stack import SERVICES, Stack

PASSWORD = "password-of-the-crash-tests"
EXTRAS = ("statistics.json", "thumbnail.webp", "checksums.json")
SHAPE = (160, 270, 540)
"""Bands, rows, columns: enough for eight shards, so that a kill comes in the middle."""
LOOK_S = 0.05
LEASE_S = "600"
"""A busy machine does not lose it; the test ends it."""
HELD = 4711
"""An advisory lock, which the test has while others wait for it."""


@pytest.fixture(scope="module")
async def installation(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[Stack, Session]]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("HSIS_LEASE_S", LEASE_S)
        environment.setenv("HSIS_WORKER_POLL_S", "0.2")
        for name, value in QUICK_PASSWORDS.items():
            environment.setenv(name, value)
        # Of the operator: not for everyone to know.
        environment.setenv("HSIS_ADMIN_PASSWORD", PASSWORD)
        environment.setenv("HSIS_TOKEN", "of the operator")
        with stack_in(tmp_path_factory.mktemp("crash") / "home", PASSWORD) as stack:
            await stack.start()
            async with session(stack.url, PASSWORD) as api:
                yield stack, api


@pytest.fixture(scope="module")
def cube() -> np.ndarray:
    random = np.random.default_rng(5)
    base = random.integers(100, 4000, (SHAPE[0], 1, 1), dtype=np.uint16)
    return base + random.integers(0, 300, SHAPE, dtype=np.uint16)


async def keys(api: Session, prefix: str) -> set[str]:
    return {blob.key async for blob in api.storage.list(prefix, token=api.token)}


@asynccontextmanager
async def held_at(stack: Stack, table: str, change: str) -> AsyncIterator[asyncpg.Connection]:
    """Whoever makes this change to a row of the table waits, and is in the middle of its work then,
    until the end of this. No lease is held then."""
    db = await stack.postgres.connect(DATABASE)
    waits = f"FROM pg_locks WHERE locktype = 'advisory' AND objid = {HELD} AND NOT granted"
    try:
        await db.execute(
            f"SELECT pg_advisory_lock({HELD});"
            " CREATE FUNCTION public.hold() RETURNS trigger LANGUAGE plpgsql AS"
            f" 'BEGIN PERFORM pg_advisory_xact_lock_shared({HELD}); RETURN NEW; END';"
            f" CREATE TRIGGER hold BEFORE UPDATE ON {table} FOR EACH ROW WHEN ({change})"
            " EXECUTE FUNCTION public.hold()"
        )
        yield db
        await db.execute(f"SELECT pg_terminate_backend(pid, 60000) {waits}")
        await db.execute(
            f"DROP TRIGGER hold ON {table}; DROP FUNCTION public.hold();"
            f" SELECT pg_advisory_unlock({HELD});"
            f" UPDATE {table} SET lease_until = now() - interval '1 s'"
            "  WHERE lease_until IS NOT NULL"
        )
    finally:
        await db.close()


async def kill_once_held(stack: Stack, db: asyncpg.Connection, name: str) -> None:
    """Kill a service by SIGKILL as soon as it waits."""
    held = (
        "SELECT EXISTS (SELECT FROM pg_locks"
        " WHERE locktype = 'advisory' AND objid = $1 AND NOT granted)"
    )
    async with asyncio.timeout(120):
        while not await db.fetchval(held, HELD):
            await asyncio.sleep(LOOK_S)
        killed = psutil.Process(stack.supervisor.pid(name))
        killed.kill()
        while killed.status() != psutil.STATUS_ZOMBIE:
            await asyncio.sleep(LOOK_S)


async def test_programs_know_no_more_than_they_need(installation: tuple[Stack, Session]) -> None:
    supervisor = installation[0].supervisor
    for name in ("postgres", "object-store", "edge", *SERVICES):
        known = psutil.Process(supervisor.pid(name)).environ()
        assert known["PATH"] == os.environ["PATH"]
        assert PASSWORD not in known.values()
        if name in SERVICES:
            assert known["HSIS_LEASE_S"] == LEASE_S
        else:
            assert "HSIS_LEASE_S" not in known
            assert "HSIS_TOKEN" not in known


async def test_a_killed_ingest_converts_once_after_its_return(
    installation: tuple[Stack, Session], cube: np.ndarray, tmp_path: Path
) -> None:
    stack, api = installation
    np.save(tmp_path / "cube.npy", cube)
    async with held_at(stack, "ingest.uploads", "NEW.progress > 0") as db:
        sent = await api.send([tmp_path / "cube.npy"], "crash", id="cube", axes="byx")
        await kill_once_held(stack, db, "ingest")
    found = await api.catalog.search({"collections": ["crash"]}, token=api.token)
    assert found["features"] == []  # nothing is visible before the end
    await stack.restart("ingest")
    last = [state async for state in api.ingest.wait(sent.id, token=api.token)][-1]
    assert last.state is UploadState.SUCCEEDED, last
    assert last.attempts == 2
    dataset = open_cube(api.url, api.token, "crash", "cube")
    np.testing.assert_array_equal(dataset["cube"].values, cube)
    found = await api.catalog.search({"collections": ["crash"]}, token=api.token)
    assert [item["id"] for item in found["features"]] == ["cube"]
    assert await keys(api, "raw/crash/") == {f"raw/crash/{sent.id}/cube.npy"}
    stored = await keys(api, "cubes/crash/")
    info = (await StoredCube.open(TokenBlobs(api), "cubes/crash/cube/cube.zarr/")).info
    documents = {f"cubes/crash/cube/cube.zarr/{key}" for key in store_documents(info)}
    extras = {f"cubes/crash/cube/{name}" for name in EXTRAS}
    rest = stored - documents - extras
    # 2 bands-groups x 2 x 2 shards, and the overview of 135 x 270: 2 x 1 x 1.
    assert len(rest) == 2 * 2 * 2 + 2 * 1 * 1
    assert all("/c/" in key for key in rest)


async def test_a_killed_inference_ends_the_job_once_after_its_return(
    installation: tuple[Stack, Session], cube: np.ndarray
) -> None:
    stack, api = installation
    inputs = {"collection": "crash", "item": "cube", "id": "score"}
    third = "NEW.state = 'done' AND NEW.index = 2"
    async with held_at(stack, "inference.blocks", third) as db:
        job = await api.processing.execute("rx", inputs, token=api.token)
        await kill_once_held(stack, db, "inference")
    await stack.restart("inference")
    last = [state async for state in api.processing.wait(job.job_id, token=api.token)][-1]
    assert last.status is JobStatus.SUCCESSFUL, last
    scores = open_cube(api.url, api.token, "crash", "score")["cube"].values[0]
    pixels = cube.reshape(SHAPE[0], -1).astype(np.float64)
    centred = pixels - pixels.mean(axis=1, keepdims=True)
    inverse = np.linalg.inv(centred @ centred.T / (pixels.shape[1] - 1))
    expected = np.einsum("ip,ij,jp->p", centred, inverse, centred, optimize=True)
    np.testing.assert_allclose(scores.ravel(), expected, rtol=1e-3)
    found = await api.catalog.search({"collections": ["crash"]}, token=api.token)
    assert sorted(item["id"] for item in found["features"]) == ["cube", "score"]
    prefixes = {key.split("/")[2] for key in await keys(api, "cubes/crash/")}
    assert prefixes == {"cube", "score"}


class TokenBlobs:
    """Reads blobs as the session's user."""

    def __init__(self, api: Session) -> None:
        self._api = api

    async def get(self, key: str) -> bytes:
        return await self._api.storage.get(key, token=self._api.token)

    async def get_range(self, key: str, start: int, length: int) -> bytes:
        return await self._api.storage.get_range(key, start, length, token=self._api.token)

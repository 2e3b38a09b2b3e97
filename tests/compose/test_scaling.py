"""Several replicas share a job; one that is killed in the middle loses nothing."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hsis.contracts.jobs import JobStatus
from tests.compose.test_main_job import upload
from tests.support.api import Session, open_cube
from tests.support.containers import Containers

SHAPE = (112, 1024, 2048)
"""Sixteen shards, so that every replica gets some of them."""


@pytest.fixture(scope="module")
def scaled(containers: Containers) -> Iterator[Containers]:
    """Three replicas of inference, two of ingest and tiles; one of each afterwards."""
    containers.up("--scale", "inference=3", "--scale", "ingest=2", "--scale", "tiles=2")
    yield containers
    containers.up()


async def run(containers: Containers, api: Session, item: str) -> set[str]:
    """Run rx over the scene; the replicas that took blocks of the job."""
    inputs = {"collection": "scaled", "item": "scene", "id": item}
    job = await api.processing.execute("rx", inputs, token=api.token)
    names: set[str] = set()
    query = f"SELECT worker FROM inference.blocks WHERE job_id = '{job.job_id}'"
    while not (state := await api.processing.job(str(job.job_id), token=api.token)).status.final:
        names |= set((await asyncio.to_thread(containers.sql, query)).split())
        await asyncio.sleep(0.1)
    assert state.status is JobStatus.SUCCESSFUL, state
    return names


async def test_every_replica_works_and_a_killed_one_loses_nothing(
    scaled: Containers, api: Session, tmp_path: Path
) -> None:
    cube = np.random.default_rng(8).integers(0, 4000, SHAPE, dtype=np.uint16)
    await upload(api, cube, tmp_path, "scaled", "scene")

    names = await run(scaled, api, "three")
    assert len(names) == 3, names

    job = await api.processing.execute(
        "rx", {"collection": "scaled", "item": "scene", "id": "killed"}, token=api.token
    )
    async for state in api.processing.wait(job.job_id, token=api.token):
        assert not state.status.final, "too fast to be killed in the middle"
        if state.progress > 10:
            break
    victim = scaled.ids("inference")[0]
    scaled.docker("kill", victim)
    last = [state async for state in api.processing.wait(job.job_id, token=api.token)][-1]
    assert last.status is JobStatus.SUCCESSFUL, last

    scaled.up("--scale", "inference=1", "--scale", "ingest=2", "--scale", "tiles=2")
    names = await run(scaled, api, "one")
    assert len(names) == 1, names
    one, three, killed = (
        open_cube(api.url, api.token, "scaled", item)["cube"].values
        for item in ("one", "three", "killed")
    )
    np.testing.assert_array_equal(three, one)
    np.testing.assert_array_equal(killed, one)


async def test_both_replicas_of_ingest_convert_and_of_tiles_answer(
    scaled: Containers, api: Session, tmp_path: Path
) -> None:
    cube = np.random.default_rng(9).integers(0, 4000, (120, 256, 512), dtype=np.uint16)
    folders = [tmp_path / str(number) for number in range(8)]
    for folder in folders:
        folder.mkdir()
    await asyncio.gather(
        *(upload(api, cube, folder, "many", f"cube-{folder.name}") for folder in folders)
    )
    for _ in range(20):
        spectrum = await api.tiles.spectrum("many", "cube-0", 3, 5, token=api.token)
        np.testing.assert_array_equal(spectrum.values, cube[:, 5, 3])
    for service, line in (("ingest", '"converted"'), ("tiles", "/spectrum")):
        replicas = scaled.ids(service)
        assert len(replicas) == 2
        for replica in replicas:
            assert line in scaled.logs(replica), f"a replica of {service} did nothing"

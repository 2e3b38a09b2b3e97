"""Each container is killed, and storage-proxy cut off, under uploads, reads and jobs."""

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
import pytest

from hsis.contracts.uploads import UploadState
from hsis.errors import Conflict, DomainError, Unavailable
from tests.support.api import Session, open_cube
from tests.support.containers import Containers

CUBE = np.random.default_rng(1).integers(0, 4000, (120, 256, 512), dtype=np.uint16)
AWAY_S = 5.0
PATIENCE_S = 150.0


@dataclass
class Load:
    """Uploads, reads and jobs until told to stop, and what became of them."""

    api: Session
    folder: Path
    tag: str
    stopping: bool = False
    accepted: dict[str, str] = field(default_factory=dict)
    jobs: list[str] = field(default_factory=list)
    read: int = 0

    async def run(self) -> None:
        """All three at once."""
        async with asyncio.TaskGroup() as group:
            for work in (self._upload, self._read, self._process):
                group.create_task(work())

    async def _upload(self) -> None:
        file = self.folder / "cube.npy"
        np.save(file, CUBE)
        number = 0
        while not self.stopping:
            number += 1
            item = f"{self.tag}-{number}"
            try:
                sent = await self.api.send([file], "load", id=item, axes="byx")
            except (Unavailable, Conflict, httpx.TransportError):
                # Not accepted: a client tries again. It is a conflict while the request that was
                # cut off still holds the file's place.
                await asyncio.sleep(0.5)
            else:
                self.accepted[str(sent.id)] = item
                await asyncio.sleep(1.0)

    async def _read(self) -> None:
        while not self.stopping:
            try:
                answer = await self.api.tiles.spectrum("load", "base", 7, 11, token=self.api.token)
            except (Unavailable, httpx.TransportError):
                await asyncio.sleep(0.2)
            else:
                np.testing.assert_array_equal(answer.values, CUBE[:, 11, 7])
                self.read += 1
                await asyncio.sleep(0.05)

    async def _process(self) -> None:
        while not self.stopping:
            inputs = {"collection": "load", "item": "base"}
            try:
                job = await self.api.processing.execute("rx", inputs, token=self.api.token)
            except (Unavailable, httpx.TransportError):
                await asyncio.sleep(0.5)
            else:
                self.jobs.append(str(job.job_id))
                await asyncio.sleep(3.0)


async def patiently(ask, *arguments, **more):  # type: ignore[no-untyped-def]
    """An answer, asked for again while a part is away, for as long as a user would wait."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return await ask(*arguments, **more)
        except (Unavailable, httpx.TransportError):
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(1.0)


@pytest.fixture
async def base(api: Session, tmp_path: Path) -> None:
    """A cube to read and to process."""
    try:
        await api.catalog.item("load", "base", token=api.token)
    except DomainError:
        np.save(tmp_path / "base.npy", CUBE)
        sent = await api.upload([tmp_path / "base.npy"], "load", id="base", axes="byx")
        assert sent.state is UploadState.SUCCEEDED, sent


async def end_of_all(load: Load, api: Session) -> None:
    """Every accepted upload is there and right, every job ended well."""
    for upload, item in load.accepted.items():
        deadline = time.monotonic() + PATIENCE_S
        while not (
            state := await patiently(api.ingest.upload, upload, token=api.token)
        ).state.final:
            assert time.monotonic() < deadline, f"{item} is still {state.state}"
            await asyncio.sleep(0.5)
        assert state.state is UploadState.SUCCEEDED, state
        stored = open_cube(api.url, api.token, "load", item)["cube"].values
        np.testing.assert_array_equal(stored, CUBE)
    for job in load.jobs:
        deadline = time.monotonic() + PATIENCE_S
        while not (info := await patiently(api.processing.job, job, token=api.token)).status.final:
            assert time.monotonic() < deadline, f"job {job} is still {info.status}"
            await asyncio.sleep(0.5)
        assert info.status.value == "successful", info


@pytest.mark.parametrize(
    "service",
    [
        "tiles",
        "web",
        "inference",
        "ingest",
        "storage-proxy",
        "catalog",
        "edge",
        "objects",
        "postgres",
    ],
)
async def test_a_killed_container(
    containers: Containers, api: Session, base: None, tmp_path: Path, service: str
) -> None:
    load = Load(api, tmp_path, f"kill-{service}")
    running = asyncio.create_task(load.run())
    await asyncio.sleep(3.0)
    [victim] = containers.ids(service)
    await asyncio.to_thread(containers.docker, "kill", victim)
    await asyncio.sleep(AWAY_S)
    await asyncio.to_thread(containers.up)
    await asyncio.sleep(3.0)
    load.stopping = True
    await running
    assert load.read > 0
    assert load.accepted
    assert load.jobs
    await end_of_all(load, api)


async def test_storage_proxy_cut_off_and_joined_again(
    containers: Containers, api: Session, base: None, tmp_path: Path
) -> None:
    load = Load(api, tmp_path, "cut")
    running = asyncio.create_task(load.run())
    await asyncio.sleep(3.0)
    [victim] = containers.ids("storage-proxy")
    network = f"{containers.project}_backend"
    await asyncio.to_thread(containers.docker, "network", "disconnect", network, victim)
    async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
        answer = await http.get(f"{api.url}/blobs/cubes/load/base/cube.zarr/zarr.json")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    await asyncio.sleep(AWAY_S)
    join = ("network", "connect", "--alias", "storage-proxy", network, victim)
    await asyncio.to_thread(containers.docker, *join)
    await asyncio.sleep(5.0)
    load.stopping = True
    await running
    await end_of_all(load, api)

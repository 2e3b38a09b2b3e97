"""Command line and browser notice nothing while services are scaled and replaced."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
import pytest

from hsis.errors import NotFound
from tests.compose.test_main_job import upload
from tests.support.api import Session
from tests.support.containers import Containers

CUBE = np.random.default_rng(11).integers(0, 4000, (30, 48, 64), dtype=np.uint16)
COMMAND = Path(sys.executable).with_name("hsis")
SETTLE_S = 3.0


@dataclass
class Users:
    """One who uploads and looks on the command line, one who clicks in the browser."""

    containers: Containers
    token: str
    folder: Path
    doing: str = "nothing"
    stopping: bool = False
    uploads: int = 0
    pages: int = 0
    troubles: list[str] = field(default_factory=list)

    async def run(self) -> None:
        """Both until told to stop."""
        await asyncio.gather(self._command_line(), self._browser())

    async def _hsis(self, *words: str) -> str:
        started = await asyncio.create_subprocess_exec(
            *(str(COMMAND), *words),
            env={"HSIS_URL": self.containers.url, "HSIS_TOKEN": self.token, "HOME": "/nowhere"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, errors = await started.communicate()
        if started.returncode != 0:
            self.troubles.append(f"{self.doing}: hsis {words[0]}: {errors.decode()[-400:]}")
        return out.decode()

    async def _command_line(self) -> None:
        file = self.folder / "cube.npy"
        np.save(file, CUBE)
        while not self.stopping:
            self.uploads += 1
            item = f"{self.folder.name}-{self.uploads}"
            await self._hsis(
                *("upload", str(file), "--collection", "live", "--id", item),
                *("--axes", "byx", "--wait"),
            )
            told = await self._hsis("spectrum", "live", item, "7", "5", "--json")
            if told and json.loads(told)["values"] != CUBE[:, 5, 7].tolist():
                self.troubles.append(f"{self.doing}: {item} has another spectrum: {told}")

    async def _browser(self) -> None:
        paths = (
            "/cubes/live/base/spectrum?x=7&y=5",
            "/stac/collections/live/items/base",
            "/cubes/live/base/preview.png",
            "/blobs/cubes/live/base/cube.zarr/zarr.json",
            "/",
        )
        headers = {"Authorization": f"Bearer {self.token}"}
        async with httpx.AsyncClient(
            base_url=self.containers.url, headers=headers, trust_env=False, timeout=60
        ) as http:
            while not self.stopping:
                for path in paths:
                    self.pages += 1
                    try:
                        answer = await http.get(path, follow_redirects=True)
                    except httpx.TransportError as error:
                        self.troubles.append(f"{self.doing}: {path}: {error!r}")
                        continue
                    if answer.status_code != 200:
                        told = f"{answer.status_code} {answer.text[:200]}"
                        self.troubles.append(f"{self.doing}: {path}: {told}")
                await asyncio.sleep(0.1)


@pytest.fixture
async def users(containers: Containers, api: Session, tmp_path: Path) -> AsyncIterator[Users]:
    """Both at work on a cube that is there; no trouble is allowed to either."""
    try:
        await api.catalog.item("live", "base", token=api.token)
    except NotFound:
        await upload(api, CUBE, tmp_path, "live", "base")
    users = Users(containers, api.token, tmp_path)
    running = asyncio.create_task(users.run())
    yield users
    users.stopping = True
    await running
    await asyncio.to_thread(containers.up)


Do = Callable[..., Awaitable[None]]


@pytest.fixture
def operate(users: Users) -> Do:
    """Run `docker compose up` with these words, and let it settle."""

    async def do(*words: str) -> None:
        users.doing = " ".join(words)
        await asyncio.to_thread(users.containers.up, "--no-deps", *words)
        await asyncio.sleep(SETTLE_S)

    return do


async def test_nobody_notices_that_services_are_scaled(users: Users, operate: Do) -> None:
    await operate("--scale", "tiles=3", "tiles")
    await operate("--scale", "tiles=1", "tiles")
    for service in ("catalog", "storage-proxy", "ingest"):
        await operate("--scale", f"{service}=2", service)
        await operate("--scale", f"{service}=1", service)
    assert not users.troubles, "\n".join(users.troubles)
    assert users.uploads > 5
    assert users.pages > 100


async def test_nobody_notices_that_services_are_replaced(users: Users) -> None:
    for service in ("tiles", "web", "ingest", "storage-proxy", "catalog"):
        before = users.containers.ids(service)
        users.doing = f"replace {service}"
        await asyncio.to_thread(users.containers.replace, service)
        await asyncio.sleep(SETTLE_S)
        after = users.containers.ids(service)
        assert len(after) == 1
        assert after != before
    assert not users.troubles, "\n".join(users.troubles)
    assert users.uploads > 5
    assert users.pages > 100


async def test_nobody_notices_an_update_and_up_leaves_the_rest_alone(users: Users) -> None:
    changed = users.containers.configured(HSIS_TILES_MEMORY="1500m", HSIS_CATALOG_MEMORY="900m")
    everything = ("edge", "catalog", "storage-proxy", "ingest", "tiles", "inference", "web")
    before = {service: changed.ids(service) for service in everything}
    users.doing = "update"
    await asyncio.to_thread(changed.update)
    await asyncio.to_thread(changed.up)
    after = {service: changed.ids(service) for service in everything}
    limits = {name: changed.inspect(after[name][0])["HostConfig"]["Memory"] for name in after}
    assert (limits["tiles"], limits["catalog"]) == (1500 * 2**20, 900 * 2**20)
    assert {name for name in after if after[name] != before[name]} == {"tiles", "catalog"}
    assert {len(ids) for ids in after.values()} == {1}
    assert not users.troubles, "\n".join(users.troubles)
    assert users.pages > 100


async def test_nobody_notices_that_tiles_is_made_anew(users: Users, operate: Do) -> None:
    # There is a gap here, which the edge waits out.
    await operate("--force-recreate", "tiles")
    assert not users.troubles, "\n".join(users.troubles)
    assert users.pages > 10

"""Fifty kills at random moments of upload and conversion: every cube once, and nothing astray."""

import asyncio
import os
import random
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np

from hsis.contracts.uploads import UploadState
from hsis_embedded.stack import Stack
from tests.support.api import Session, open_cube

KILLS = 50
KILLED = ("ingest", "ingest", "storage-proxy", "catalog")
"""Ingest twice as often as the others."""
SHAPE = (64, 512, 512)
"""Bands, rows, columns of 16 bits: 32 MiB, several parts and several shards."""
COLLECTION = "kills"
PATIENCE_S = 120


def cube_of(number: int) -> np.ndarray:
    """A cube that differs from every other one, and compresses as real ones do."""
    made = np.random.default_rng(number)
    base = made.integers(100, 4000, (SHAPE[0], 1, 1), dtype=np.uint16)
    return base + made.integers(0, 200, SHAPE, dtype=np.uint16)


async def hsis(api: Session, *arguments: str) -> int:
    """Run the command line as a user does; its exit status."""
    environment = os.environ | {"HSIS_URL": api.url, "HSIS_TOKEN": api.token}
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("hsis"), *arguments,
        env=environment, stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    return await process.wait()


async def upload(api: Session, path: Path) -> None:
    """Until it is stored, giving the same command again as its message says."""
    async with asyncio.timeout(PATIENCE_S):
        while await hsis(
            api, "upload", str(path), "--collection", COLLECTION, "--axes", "byx", "--wait"
        ):
            await asyncio.sleep(0.5)


async def kill_and_restart(stack: Stack, name: str, after_s: float) -> None:
    await asyncio.sleep(after_s)
    os.kill(stack.supervisor.pid(name), signal.SIGKILL)
    await stack.restart(name)


async def test_fifty_kills(installation: tuple[Stack, Session], tmp_path: Path) -> None:
    stack, api = installation
    seed = int(os.environ.get("HSIS_SEED") or time.time())
    print(f"HSIS_SEED={seed}")
    moments = random.Random(seed)
    began = time.monotonic()
    await upload(api, await saved(tmp_path, 0))
    undisturbed_s = time.monotonic() - began
    killed: Counter[str] = Counter()
    for number in range(1, KILLS + 1):
        path = await saved(tmp_path, number)
        name = moments.choice(KILLED)
        killed[name] += 1
        await asyncio.gather(
            upload(api, path),
            kill_and_restart(stack, name, moments.uniform(0, undisturbed_s)),
        )
        path.unlink()
    print(f"one upload takes {undisturbed_s:.1f} s; killed: {dict(killed)}")
    await nothing_astray(api)
    for number in range(KILLS + 1):
        stored = open_cube(api.url, api.token, COLLECTION, f"cube-{number}")["cube"].values
        np.testing.assert_array_equal(stored, cube_of(number), err_msg=f"cube {number}")


async def saved(folder: Path, number: int) -> Path:
    path = folder / f"cube-{number}.npy"
    await asyncio.to_thread(np.save, path, cube_of(number))
    return path


async def nothing_astray(api: Session) -> None:
    """One item an upload, one upload an item, and no object that belongs to none of them."""
    expected = {f"cube-{number}" for number in range(KILLS + 1)}
    token = api.token
    found = [
        item["id"]
        for item in (
            await api.catalog.search({"collections": [COLLECTION], "limit": 1000}, token=token)
        )["features"]
    ]
    assert sorted(found) == sorted(expected)
    uploads = [
        upload
        for upload in await api.ingest.uploads(COLLECTION, limit=1000, token=token)
        if upload.state is not UploadState.FAILED
    ]
    assert Counter(upload.item for upload in uploads) == Counter(expected)
    assert {upload.state for upload in uploads} == {UploadState.SUCCEEDED}
    async with asyncio.timeout(PATIENCE_S):
        # The sweep removes what killed requests left.
        while await keys(api, "staging/") or len(await originals(api)) > len(expected):
            await asyncio.sleep(0.5)
    assert await originals(api) == {f"raw/{COLLECTION}/{upload.id}/" for upload in uploads}
    cubes = {key.split("/")[2] for key in await keys(api, f"cubes/{COLLECTION}/")}
    assert cubes == expected


async def originals(api: Session) -> set[str]:
    return {key.rpartition("/")[0] + "/" for key in await keys(api, f"raw/{COLLECTION}/")}


async def keys(api: Session, prefix: str) -> list[str]:
    return [blob.key async for blob in api.storage.list(prefix, token=api.token)]

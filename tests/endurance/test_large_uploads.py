"""A gigabyte by others' tus clients, through the edge, while ingest is killed three times."""

import hashlib
import os
import signal
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

from hsis.contracts.uploads import UploadState
from hsis_embedded.stack import Stack
from tests.support.api import Session, open_cube
from tests.support.tus_clients import MIB, send_by_tus_js_client, send_by_tuspy

SHAPE = (256, 1024, 2048)
"""Bands, rows, columns of 16 bits: 1 GiB."""
KILLS = (150 * MIB, 480 * MIB, 900 * MIB)
COLLECTION = "large"


@pytest.fixture(scope="module")
def cube(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / "cube.npy"
    values = np.lib.format.open_memmap(path, "w+", np.uint16, SHAPE)
    made = np.random.default_rng(3)
    for band in values:
        band[...] = made.integers(0, 1000, SHAPE[1:], np.uint16)
    values.flush()
    return path


@pytest.mark.parametrize("send", [send_by_tuspy, send_by_tus_js_client])
async def test_a_gigabyte(installation: tuple[Stack, Session], cube: Path, send) -> None:
    stack, api = installation
    kills = 0

    async def kill() -> None:
        nonlocal kills
        kills += 1
        os.kill(stack.supervisor.pid("ingest"), signal.SIGKILL)
        await stack.restart("ingest")

    metadata = {"collection": COLLECTION, "filename": cube.name, "id": send.__name__, "axes": "byx"}
    await send(cube, f"{stack.url}/uploads", api.token, metadata, KILLS, kill)
    assert kills == len(KILLS)
    [upload] = [
        upload
        for upload in await api.ingest.uploads(COLLECTION, token=api.token)
        if upload.item == send.__name__
    ]
    last = [state async for state in api.ingest.wait(upload.id, token=api.token)][-1]
    assert last.state is UploadState.SUCCEEDED, last
    digest = hashlib.sha256()
    item = await api.catalog.item(COLLECTION, upload.item, token=api.token)
    # The second upload has the first one's bytes, so its item has the first one's originals.
    key = urlsplit(item["assets"]["original-1"]["href"]).path.removeprefix("/blobs/")
    async for piece in api.storage.stream(key, token=api.token):
        digest.update(piece)
    with cube.open("rb") as file:
        assert digest.hexdigest() == hashlib.file_digest(file, "sha256").hexdigest()
    stored = open_cube(api.url, api.token, COLLECTION, send.__name__)["cube"].values
    assert np.array_equal(stored, np.load(cube, mmap_mode="r"))

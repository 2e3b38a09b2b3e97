"""Others' tus clients, while ingest is killed and started again; and the memory that it takes."""

import asyncio
import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import psutil
import pytest

from hsis_embedded.readiness import free_port
from tests.ingest.conftest import Ingest
from tests.ingest.tus_client import COLLECTION, MIB, Tus, bytes_of, stored, upload_of
from tests.support.tus_clients import send_by_tus_js_client, send_by_tuspy


class Replica:
    """Ingest in a process of its own, over the tests' database and store."""

    def __init__(self, settings: dict[str, object], port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._port = port
        told = {f"HSIS_{name.upper()}": str(value) for name, value in settings.items()}
        self._environment = os.environ | told | {"HSIS_LOG_LEVEL": "ERROR"}
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "uvicorn", "--factory", "hsis_ingest.app:create_app"]
        command += [f"--port={self._port}", "--log-level=error", "--no-access-log"]
        return subprocess.Popen(command, env=self._environment)

    def kill(self) -> None:
        """End it as a power cut does, and start it again."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process = self._start()

    async def ready(self) -> None:
        async with httpx.AsyncClient(trust_env=False) as http, asyncio.timeout(60):
            while True:
                try:
                    if (await http.get(f"{self.url}/readyz")).status_code == 200:
                        return
                except httpx.TransportError:
                    await asyncio.sleep(0.05)


@pytest.fixture(scope="module")
async def replica(idle_ingest: Ingest) -> AsyncIterator[Replica]:
    started = Replica(idle_ingest.settings, free_port())
    await started.ready()
    yield started
    started.process.terminate()
    started.process.wait(60)


@pytest.mark.parametrize(
    ("send", "size", "killed_at"),
    [
        pytest.param(send_by_tuspy, 24 * MIB, 13 * MIB, id="tuspy"),
        pytest.param(send_by_tus_js_client, 40 * MIB, 12 * MIB, id="tus-js-client"),
    ],
)
async def test_a_client_goes_on_after_a_kill(
    idle_ingest: Ingest, replica: Replica, tmp_path: Path, send, size: int, killed_at: int
):
    content = bytes_of(size, 7)
    path = tmp_path / f"{send.__name__}.npy"
    path.write_bytes(content)

    async def kill() -> None:
        await asyncio.to_thread(replica.kill)
        await idle_ingest.sql(
            "UPDATE transfers SET lease_until = now() - interval '1 s'"
            " WHERE lease_until IS NOT NULL"
        )

    await send(
        path,
        f"{replica.url}/uploads",
        idle_ingest.admin_token,
        {"collection": COLLECTION, "filename": path.name},
        [killed_at],
        kill,
    )
    assert await stored(idle_ingest, path.name) == content
    await replica.ready()


async def test_memory_does_not_grow_with_the_file(idle_ingest: Ingest, replica: Replica):
    length = 200 * MIB
    piece = bytes_of(MIB, 9)
    digest = hashlib.sha256()

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(length // MIB):
            digest.update(piece)
            yield piece

    tus = Tus(idle_ingest.http, replica.url, idle_ingest.admin_token)
    small = await tus.created(MIB, "small.npy")
    assert (await tus.send(small, 0, piece)).status_code == 204
    before = peak_bytes(replica.process.pid)
    url = await tus.created(length, "large.npy")
    sent = await tus.send(url, 0, pieces(), Content_Length=length)
    assert sent.status_code == 204, sent.text
    assert peak_bytes(replica.process.pid) - before < 64 * MIB
    upload = await upload_of(idle_ingest, "large.npy")
    assert (upload.files[0].size, upload.files[0].sha256) == (length, digest.hexdigest())


def peak_bytes(pid: int) -> int:
    """The most memory that the process ever had."""
    assert psutil.pid_exists(pid)
    status = Path(f"/proc/{pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024

"""Others' tus clients, while ingest is killed and started again; and the memory that it takes."""

import asyncio
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import psutil
import pytest
from tusclient.client import TusClient

from hsis_embedded.readiness import free_port
from tests.ingest.conftest import Ingest
from tests.ingest.tus_client import COLLECTION, MIB, Tus, bytes_of, stored, upload_of

WEB = Path(__file__).resolve().parents[2] / "services" / "web"
NODE_CLIENT = """
const fs = require("node:fs");
const [library, path, endpoint, token, metadata] = process.argv.slice(1);
const { Upload } = require(library);
let told = 0;
new Upload(fs.createReadStream(path), {
  endpoint,
  uploadSize: fs.statSync(path).size,
  chunkSize: 10 * 1024 * 1024,
  metadata: JSON.parse(metadata),
  headers: { Authorization: `Bearer ${token}` },
  retryDelays: Array(60).fill(250),
  onProgress: (sent) => {
    if (sent - told > 1000000) console.log((told = sent));
  },
  onError: (error) => { console.error(String(error)); process.exit(1); },
  onSuccess: () => process.exit(0),
}).start();
"""


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
        async with httpx.AsyncClient(trust_env=False) as http, asyncio.timeout(30):
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
    started.process.wait(10)


class Watched:
    """A file that tells when it is read past an offset, once."""

    def __init__(self, path: Path, at: int, tell: threading.Event) -> None:
        self._file = path.open("rb")
        self._at = at
        self._tell = tell

    def read(self, size: int = -1) -> bytes:
        content = self._file.read(size)
        if self._file.tell() >= self._at:
            self._tell.set()
        return content

    def seek(self, *where: int) -> int:
        return self._file.seek(*where)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()


async def test_tuspy(idle_ingest: Ingest, replica: Replica, tmp_path: Path):
    content = bytes_of(24 * MIB, 7)
    path = tmp_path / "tuspy.npy"
    path.write_bytes(content)
    reached = threading.Event()
    file = Watched(path, 13 * MIB, reached)
    client = TusClient(
        f"{replica.url}/uploads", headers={"Authorization": f"Bearer {idle_ingest.admin_token}"}
    )
    uploader = client.uploader(
        file_stream=file,
        chunk_size=3 * MIB,
        metadata={"collection": COLLECTION, "filename": "tuspy.npy"},
        retries=100,
        retry_delay=0.2,
        upload_checksum=True,
    )

    def kill() -> None:
        reached.wait(20)
        replica.kill()

    await asyncio.gather(asyncio.to_thread(uploader.upload), asyncio.to_thread(kill))
    file.close()
    assert uploader.offset == len(content)
    assert await stored(idle_ingest, "tuspy.npy") == content
    await replica.ready()


async def test_tus_js_client(idle_ingest: Ingest, replica: Replica, tmp_path: Path):
    node = shutil.which("node", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    library = WEB / "node_modules" / "tus-js-client"
    assert node is not None, "no Node: make install brings one"
    assert library.is_dir(), "its packages are not installed: make install"
    content = bytes_of(40 * MIB, 8)
    path = tmp_path / "node.npy"
    path.write_bytes(content)
    metadata = {"collection": COLLECTION, "filename": "node.npy"}
    process = await asyncio.create_subprocess_exec(
        node, "-e", NODE_CLIENT, "--", str(library), str(path), f"{replica.url}/uploads",
        idle_ingest.admin_token, json.dumps(metadata), stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    killed = False
    async with asyncio.timeout(40):
        async for line in process.stdout:
            if not killed and int(line) > 12 * MIB:
                killed = True
                await asyncio.to_thread(replica.kill)
        assert await process.wait() == 0
    assert killed
    assert await stored(idle_ingest, "node.npy") == content
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

"""Others' tus clients, told of the moment when they are so far."""

import asyncio
import json
import os
import shutil
import sys
import threading
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from tusclient.client import TusClient

WEB = Path(__file__).resolve().parents[2] / "services" / "web"
MIB = 1024**2
RETRIES = 1000
NODE_CLIENT = """
const fs = require("node:fs");
const [library, path, endpoint, token, metadata, retries] = process.argv.slice(1);
const { Upload } = require(library);
let told = 0;
new Upload(fs.createReadStream(path), {
  endpoint,
  uploadSize: fs.statSync(path).size,
  chunkSize: 10 * 1024 * 1024,
  metadata: JSON.parse(metadata),
  headers: { Authorization: `Bearer ${token}` },
  retryDelays: Array(Number(retries)).fill(250),
  onProgress: (sent) => {
    if (sent - told > 1000000) console.log((told = sent));
  },
  onError: (error) => { console.error(String(error)); process.exit(1); },
  onSuccess: () => process.exit(0),
}).start();
"""

Then = Callable[[], Awaitable[None]]


class Watched:
    """A file that tells the largest offset it was read to, and is not read from `limit` on until
    `go_on` is set."""

    def __init__(self, path: Path, limit: int) -> None:
        self._file = path.open("rb")
        self.furthest = 0
        self._limit = limit
        self.go_on = threading.Event()

    def read(self, size: int = -1) -> bytes:
        if self._file.tell() >= self._limit:
            self.go_on.wait()
        content = self._file.read(size)
        self.furthest = max(self.furthest, self._file.tell())
        return content

    def seek(self, *where: int) -> int:
        return self._file.seek(*where)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()


async def send_by_tuspy(
    path: Path,
    endpoint: str,
    token: str,
    metadata: dict[str, str],
    moments: Sequence[int],
    then: Then,
    *,
    chunk_bytes: int = 3 * MIB,
) -> None:
    """Upload by tuspy, with a checksum of every chunk; `then` is awaited at each offset."""
    file = Watched(path, moments[-1] + chunk_bytes)  # no client is too fast to be disturbed
    client = TusClient(endpoint, headers={"Authorization": f"Bearer {token}"})
    uploader = client.uploader(
        file_stream=file,
        chunk_size=chunk_bytes,
        metadata=metadata,
        retries=RETRIES,
        retry_delay=0.2,
        upload_checksum=True,
    )
    sending = asyncio.create_task(asyncio.to_thread(uploader.upload))
    try:
        for moment in moments:
            while file.furthest < moment:
                assert not sending.done(), "too fast to be disturbed in the middle"
                await asyncio.sleep(0.005)
            await then()
    finally:
        file.go_on.set()
    await sending
    file.close()
    assert uploader.offset == path.stat().st_size


async def send_by_tus_js_client(
    path: Path,
    endpoint: str,
    token: str,
    metadata: dict[str, str],
    moments: Sequence[int],
    then: Then,
) -> None:
    """Upload by tus-js-client in Node; `then` is awaited at each offset."""
    node = shutil.which("node", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    library = WEB / "node_modules" / "tus-js-client"
    assert node is not None, "no Node: make install brings one"
    assert library.is_dir(), "its packages are not installed: make install"
    process = await asyncio.create_subprocess_exec(
        node, "-e", NODE_CLIENT, "--", str(library), str(path), endpoint, token,
        json.dumps(metadata), str(RETRIES), stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    left = list(moments)
    async for line in process.stdout:
        if left and int(line) > left[0]:
            left.pop(0)
            await then()
    assert await process.wait() == 0
    assert not left, "too fast to be disturbed in the middle"

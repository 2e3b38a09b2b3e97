"""An upload by tus through the edge against an upload in parts to the object store itself.

The two are measured in turns, so that both meet the same machine. Both send parts of the same size,
one after the other.
"""

import os
import statistics
import time
from collections.abc import AsyncIterator

import httpx

from bench.report import report
from bench.store import DirectStore
from hsis.clients.catalog import CatalogClient
from hsis.clients.ingest import IngestClient
from hsis.contracts.uploads import DeclaredFile, UploadRequest

PART_BYTES = 8 * 1024**2
PARTS = 32
ROUNDS = 5
READ_BYTES = 1024**2
COLLECTION = "bench-upload"


async def measure(url: str, password: str, store: DirectStore) -> None:
    """Print the rate of both. What was sent is given up again: nothing is converted."""
    part = os.urandom(PART_BYTES)
    through: list[float] = []
    reference: list[float] = []
    async with httpx.AsyncClient(trust_env=False, timeout=600) as http:
        token = (await CatalogClient(http, url).login("admin", password)).access_token
        ingest = IngestClient(http, url)
        for number in range(ROUNDS):
            reference.append(await store.seconds_to_write([part] * PARTS, f"upload-{number}"))
            through.append(await _by_tus(ingest, token, number, part))
    size = PARTS * PART_BYTES
    ours, theirs = (size / 1e6 / statistics.median(times) for times in (through, reference))
    report("256 MiB in parts to the object store itself", f"{theirs:.0f} MB/s")
    report("256 MiB by tus", f"{ours:.0f} MB/s", f"{ours / theirs:.2f} of the reference")


async def _by_tus(ingest: IngestClient, token: str, number: int, part: bytes) -> float:
    """Seconds until ingest answers the last byte."""

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(PARTS):
            for at in range(0, PART_BYTES, READ_BYTES):
                yield part[at : at + READ_BYTES]

    size = PARTS * PART_BYTES
    # A second file that never comes: the upload is not converted.
    files = [DeclaredFile(name="cube.raw", size=size), DeclaredFile(name="cube.hdr")]
    request = UploadRequest(collection=COLLECTION, id=f"upload-{number}", files=files)
    upload = await ingest.create(request, token=token)
    began = time.perf_counter()
    transfer = await ingest.create_transfer(upload.id, "cube.raw", size, token=token)
    offset = await ingest.send_bytes(transfer, 0, pieces(), size=size, token=token)
    taken = time.perf_counter() - began
    if offset != size:
        raise RuntimeError(f"{offset} bytes are there instead of {size}.")
    await ingest.delete(upload.id, token=token)
    return taken

"""Conversion of 2 GB in each interleave against writing the same bytes to the object store itself.

The two are measured in turns, so that both meet the same machine. The original is read back from
the object store during a conversion, and what is written is compressed.
"""

import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
from numpy.typing import NDArray

from bench.ingest import forget_peak, peak_mib
from bench.report import report
from bench.store import DirectStore
from hsis.clients.catalog import CatalogClient
from hsis.clients.ingest import IngestClient
from hsis.contracts.uploads import DeclaredFile, UploadRequest, UploadState

SHAPE = (224, 2100, 2100)
"""Bands, rows, columns: 1.98 GB of int16."""
COLLECTION = "bench-conversion"
PART_BYTES = 8 * 1024**2
ROWS_OF_NOISE = 300


@dataclass(frozen=True, slots=True)
class _Scene:
    """Smooth spectra with noise that comes again every ROWS_OF_NOISE rows: too far apart for the
    compression to see."""

    curve: NDArray[np.float32]
    light: NDArray[np.float32]
    noise: NDArray[np.int16]

    @classmethod
    def made(cls) -> "_Scene":
        bands, rows, columns = SHAPE
        random = np.random.default_rng(1)
        curve = 1500 + 1000 * np.sin(np.linspace(0, 6, bands))
        light = random.random((rows, columns), np.float32) * 0.5 + 0.5
        noise = random.normal(0, 8, (ROWS_OF_NOISE, columns)).astype(np.int16)
        return cls(curve.astype(np.float32), light, noise)

    def window(self, bands: slice, rows: slice) -> NDArray[np.int16]:
        """Values of all columns, shape (band, y, x)."""
        number = np.arange(SHAPE[0])[bands]
        row = np.arange(SHAPE[1])[rows]
        noise = np.stack([np.roll(self.noise, 37 * n, axis=1) for n in number])
        values = self.curve[bands, None, None] * self.light[None, rows]
        return values.astype(np.int16) + noise[:, row % ROWS_OF_NOISE]


async def measure(url: str, password: str, folder: Path, process: int, store: DirectStore) -> None:
    """Print the rates, and the most memory that `process`, which is ingest's, had meanwhile."""
    scene = _Scene.made()
    async with httpx.AsyncClient(trust_env=False, timeout=600) as http:
        token = (await CatalogClient(http, url).login("admin", password)).access_token
        ingest = IngestClient(http, url)
        for interleave in ("bsq", "bil", "bip"):
            raw = folder / f"{interleave}.raw"
            size = _write(scene, interleave, raw)
            reference = size / 1e6 / await store.seconds_to_write(_parts(raw), interleave)
            upload = await _send(ingest, token, interleave, raw, size)
            began = time.perf_counter()
            forget_peak(process)
            async for state in ingest.wait(upload, token=token):
                last = state
            rate = size / 1e6 / (time.perf_counter() - began)
            if last.state is not UploadState.SUCCEEDED:
                raise RuntimeError(f"the bench cube was not converted: {last.error}")
            raw.unlink()
            what = f"{size / 1e9:.2f} GB of {interleave.upper()}"
            report(f"{what} to the object store itself", f"{reference:.0f} MB/s")
            ratio = f"{rate / reference:.2f} of the reference"
            report(f"{what} converted, {peak_mib(process)} MiB at most", f"{rate:.0f} MB/s", ratio)


def _write(scene: _Scene, interleave: str, path: Path) -> int:
    """Write the cube; its bytes."""
    bands, rows, _ = SHAPE
    with path.open("wb") as file:
        if interleave == "bsq":
            for band in range(bands):
                scene.window(slice(band, band + 1), slice(0, rows)).tofile(file)
            return file.tell()
        order = {"bil": (1, 0, 2), "bip": (1, 2, 0)}[interleave]
        for row in range(0, rows, 20):
            window = scene.window(slice(0, bands), slice(row, row + 20))
            np.ascontiguousarray(window.transpose(order)).tofile(file)
        return file.tell()


def _parts(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while part := file.read(PART_BYTES):
            yield part


async def _send(ingest: IngestClient, token: str, interleave: str, raw: Path, size: int) -> str:
    """Upload the cube; the id of the upload."""
    bands, rows, columns = SHAPE
    header = (
        f"ENVI\nsamples = {columns}\nlines = {rows}\nbands = {bands}\n"
        f"data type = 2\ninterleave = {interleave}\nbyte order = 0\n"
    ).encode()
    files = [DeclaredFile(name="c.hdr", size=len(header)), DeclaredFile(name="c.raw", size=size)]
    request = UploadRequest(collection=COLLECTION, id=interleave, files=files)
    upload = await ingest.create(request, token=token)
    await ingest.put_file(upload.id, "c.hdr", header, token=token)
    transfer = await ingest.create_transfer(upload.id, "c.raw", size, token=token)

    async def pieces() -> AsyncIterator[bytes]:
        for part in _parts(raw):
            yield part

    await ingest.send_bytes(transfer, 0, pieces(), size=size, token=token)
    return upload.id

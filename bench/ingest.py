"""Upload and conversion of one cube against numpy reading and writing its bytes on local disk."""

import time
from pathlib import Path

import httpx
import numpy as np

from bench.report import report
from hsis.clients.catalog import CatalogClient
from hsis.clients.ingest import IngestClient
from hsis.contracts.uploads import DeclaredFile, UploadRequest, UploadState

SHAPE = (224, 512, 1024)
"""Bands, rows, columns: 224 MiB of int16."""
ITEM = "bench-cube"
COLLECTION = "bench"


def scene(seed: int = 1) -> np.ndarray:
    """A cube of smooth spectra with noise, so that it compresses about as real data does."""
    bands, rows, columns = SHAPE
    random = np.random.default_rng(seed)
    curve = 1500 + 1000 * np.sin(np.linspace(0, 6, bands))[:, None, None]
    light = random.random((1, rows, columns), np.float32) * 0.5 + 0.5
    noise = random.normal(0, 8, SHAPE).astype(np.float32)
    cube: np.ndarray = (curve * light + noise).astype(np.int16)
    return cube


async def measure(url: str, password: str, folder: Path, process: int) -> tuple[str, str, int, int]:
    """Print ingest's rate and its ratio to the reference, and the most memory that `process`,
    which is ingest's, had; where the cube is: collection, item, rows, columns."""
    cube = scene()
    raw = folder / "bench.raw"
    cube.tofile(raw)
    header = folder / "bench.hdr"
    header.write_text(
        f"ENVI\nsamples = {SHAPE[2]}\nlines = {SHAPE[1]}\nbands = {SHAPE[0]}\n"
        "data type = 2\ninterleave = bsq\nbyte order = 0\n"
    )
    megabytes = cube.nbytes / 1e6
    reference_s = _reference(raw, folder / "copy.raw")
    async with httpx.AsyncClient(trust_env=False, timeout=600) as http:
        token = (await CatalogClient(http, url).login("admin", password)).access_token
        ingest = IngestClient(http, url)
        began = time.perf_counter()
        files = [DeclaredFile(name=path.name, size=path.stat().st_size) for path in (header, raw)]
        request = UploadRequest(collection=COLLECTION, id=ITEM, files=files)
        upload = await ingest.create(request, token=token)
        for path in (header, raw):
            await ingest.put_file(upload.id, path.name, path.read_bytes(), token=token)
        sent = time.perf_counter()
        async for state in ingest.wait(upload.id, token=token):
            last = state
        done = time.perf_counter()
    if last.state is not UploadState.SUCCEEDED:
        raise RuntimeError(f"the bench cube was not converted: {last.error}")
    rate = megabytes / reference_s
    report("numpy: read and write the raw bytes on local disk", f"{rate:.0f} MB/s")
    report(
        "upload through the edge",
        f"{megabytes / (sent - began):.0f} MB/s",
        rate_ratio(megabytes / (sent - began), rate),
    )
    report(
        "conversion",
        f"{megabytes / (done - sent):.0f} MB/s",
        rate_ratio(megabytes / (done - sent), rate),
    )
    report(
        "ingest in all",
        f"{megabytes / (done - began):.0f} MB/s",
        rate_ratio(megabytes / (done - began), rate),
    )
    report("peak memory of ingest", f"{peak_mib(process)} MiB")
    return COLLECTION, ITEM, SHAPE[1], SHAPE[2]


def forget_peak(process: int) -> None:
    """Let `peak_mib` tell of what comes from now on."""
    Path(f"/proc/{process}/clear_refs").write_text("5")


def peak_mib(process: int) -> int:
    """The most memory that a process had resident so far (Linux's VmHWM), rounded up."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(-(-int(line.split()[1]) // 1024) for line in lines if line.startswith("VmHWM:"))


def rate_ratio(rate: float, reference: float) -> str:
    """A ratio of rates in words."""
    return f"{rate / reference:.2f} of the reference"


def _reference(source: Path, target: Path) -> float:
    """Seconds that numpy takes to read the raw cube and write it again; neither this nor the
    object store waits for the disk."""
    began = time.perf_counter()
    np.fromfile(source, np.int16).tofile(target)
    return time.perf_counter() - began

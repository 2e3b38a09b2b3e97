"""An upload by tus through the edge against an upload in parts to the object store itself.

The two are measured in turns, so that both meet the same machine. Both send parts of the same size,
one after the other.
"""

import os
import statistics
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

from bench.report import report
from hsis.clients.catalog import CatalogClient
from hsis.clients.ingest import IngestClient
from hsis.contracts.uploads import DeclaredFile, UploadRequest

PART_BYTES = 8 * 1024**2
PARTS = 32
ROUNDS = 3
READ_BYTES = 1024**2
COLLECTION = "bench-upload"


async def measure(
    url: str,
    password: str,
    endpoint_url: str,
    access_key: str,
    secret_key: str,
    bucket: str = "hsis",
) -> None:
    """Print the rate of both. What was sent is given up again: nothing is converted."""
    part = os.urandom(PART_BYTES)
    config = AioConfig(
        signature_version="s3v4",
        s3={"addressing_style": "path", "payload_signing_enabled": False},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    through: list[float] = []
    reference: list[float] = []
    async with (
        httpx.AsyncClient(trust_env=False, timeout=600) as http,
        get_session().create_client(
            "s3",
            endpoint_url=endpoint_url,
            region_name="us-east-1",
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            config=config,
        ) as s3,
    ):
        token = (await CatalogClient(http, url).login("admin", password)).access_token
        ingest = IngestClient(http, url)
        for number in range(ROUNDS):
            reference.append(await _direct(s3, bucket, f"bench/upload-{number}", part))
            through.append(await _by_tus(ingest, token, number, part))
    size = PARTS * PART_BYTES
    ours, theirs = (size / 1e6 / statistics.median(times) for times in (through, reference))
    report("256 MiB in parts to the object store itself", f"{theirs:.0f} MB/s")
    report("256 MiB by tus", f"{ours:.0f} MB/s", f"{ours / theirs:.2f} of the reference")


async def _direct(s3: Any, bucket: str, key: str, part: bytes) -> float:
    """Seconds until the object is there."""
    began = time.perf_counter()
    where = {"Bucket": bucket, "Key": key}
    upload = (await s3.create_multipart_upload(**where))["UploadId"]
    parts = []
    for number in range(1, PARTS + 1):
        answer = await s3.upload_part(**where, UploadId=upload, PartNumber=number, Body=part)
        parts.append({"PartNumber": number, "ETag": answer["ETag"]})
    await s3.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": parts})
    taken = time.perf_counter() - began
    await s3.delete_object(**where)
    return taken


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

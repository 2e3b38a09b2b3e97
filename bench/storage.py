"""GET of a blob through HSIS against GET of the same object from the object store itself.

Both by one httpx client; the object store is asked by presigned URLs. The two are measured in
turns, so that both meet the same machine.
"""

import os
import random
import statistics
import time
from collections.abc import Mapping

import httpx
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

from bench.report import report
from hsis.clients.catalog import CatalogClient
from hsis.clients.storage import StorageClient

SIZE = 64 * 1024**2
RANGE_BYTES = 4096
WHOLE_READS = 7
RANGE_READS = 200
KEY = "bench/blob"
EXPIRES_S = 3600


async def measure(
    url: str,
    password: str,
    endpoint_url: str,
    access_key: str,
    secret_key: str,
    bucket: str = "hsis",
) -> None:
    """Print the rate of whole blobs and the time of small ranges, each with its ratio.

    `url` is the edge or storage-proxy with catalog behind it; the keys are the object store's.
    """
    async with httpx.AsyncClient(trust_env=False, timeout=120) as http:
        token = (await CatalogClient(http, url).login("admin", password)).access_token
        storage = StorageClient(http, url)
        await storage.put(KEY, os.urandom(SIZE), token=token)
        direct = await presigned(endpoint_url, access_key, secret_key, bucket, KEY)
        proxied = f"{url}/blobs/{KEY}"
        bearer = {"Authorization": f"Bearer {token}"}
        await _compare_whole(http, proxied, bearer, direct)
        await _compare_ranges(http, proxied, bearer, direct)
        await storage.delete(KEY, token=token)


async def presigned(
    endpoint_url: str, access_key: str, secret_key: str, bucket: str, key: str
) -> str:
    """A URL that the object store answers with the object, without headers of its own."""
    config = AioConfig(signature_version="s3v4", s3={"addressing_style": "path"})
    async with get_session().create_client(
        "s3",
        endpoint_url=endpoint_url,
        region_name="us-east-1",
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        config=config,
    ) as client:
        made = await client.generate_presigned_url(
            "get_object", Params={"Bucket": bucket, "Key": key}, ExpiresIn=EXPIRES_S
        )
    return str(made)


async def _compare_whole(
    http: httpx.AsyncClient, proxied: str, bearer: Mapping[str, str], direct: str
) -> None:
    through: list[float] = []
    reference: list[float] = []
    for _ in range(WHOLE_READS):
        through.append(await _seconds(http, proxied, bearer, SIZE))
        reference.append(await _seconds(http, direct, {}, SIZE))
    ours, theirs = (SIZE / 1e6 / statistics.median(times) for times in (through, reference))
    report("64 MiB from the object store itself", f"{theirs:.0f} MB/s")
    report("64 MiB through HSIS", f"{ours:.0f} MB/s", f"{ours / theirs:.2f} of the reference")


async def _compare_ranges(
    http: httpx.AsyncClient, proxied: str, bearer: Mapping[str, str], direct: str
) -> None:
    choose = random.Random(11)  # noqa: S311 - which bytes, not a secret
    through: list[float] = []
    reference: list[float] = []
    for _ in range(RANGE_READS):
        start = choose.randrange(SIZE - RANGE_BYTES)
        wanted = {"Range": f"bytes={start}-{start + RANGE_BYTES - 1}"}
        through.append(await _seconds(http, proxied, {**bearer, **wanted}, RANGE_BYTES))
        reference.append(await _seconds(http, direct, wanted, RANGE_BYTES))
    ours, theirs = (statistics.median(times) * 1000 for times in (through, reference))
    report("a range of 4 KiB from the object store itself, p50", f"{theirs:.1f} ms")
    report(
        "a range of 4 KiB through HSIS, p50",
        f"{ours:.1f} ms",
        f"{ours / theirs:.2f} times the reference",
    )


async def _seconds(
    http: httpx.AsyncClient, url: str, headers: Mapping[str, str], expected: int
) -> float:
    """How long a GET takes to its last byte; RuntimeError unless `expected` bytes came."""
    began = time.perf_counter()
    received = 0
    async with http.stream("GET", url, headers=dict(headers)) as response:
        response.raise_for_status()
        async for piece in response.aiter_raw():
            received += len(piece)
    if received != expected:
        raise RuntimeError(f"GET answered {received} bytes instead of {expected}.")
    return time.perf_counter() - began

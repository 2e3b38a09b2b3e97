"""How long the spectrum of one pixel takes, through the edge and one client."""

import random
import time

import httpx

from bench.report import report
from hsis.clients.catalog import CatalogClient
from hsis.clients.tiles import TilesClient

REQUESTS = 200


async def measure(url: str, password: str, cube: tuple[str, str, int, int]) -> None:
    """Print the median and the 99th percentile of spectra of random pixels."""
    collection, item, rows, columns = cube
    choose = random.Random(7)  # noqa: S311 - which pixels, not a secret
    times: list[float] = []
    async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
        token = (await CatalogClient(http, url).login("admin", password)).access_token
        tiles = TilesClient(http, url)
        for _ in range(REQUESTS):
            x, y = choose.randrange(columns), choose.randrange(rows)
            began = time.perf_counter()
            await tiles.spectrum(collection, item, x, y, token=token)
            times.append(time.perf_counter() - began)
    times.sort()
    report("spectrum of a pixel, p50", f"{times[len(times) // 2] * 1000:.1f} ms")
    report("spectrum of a pixel, p99", f"{times[int(len(times) * 0.99)] * 1000:.1f} ms")

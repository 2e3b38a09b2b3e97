"""How long the spectrum of one pixel takes, through the edge and one client.

The first spectrum of a place reads the pixel's chunks from the object store; later ones of the
same chunks find them in the memory of tiles. The two are told apart.
"""

import random
import time

import httpx

from bench.report import report
from hsis.clients.catalog import CatalogClient
from hsis.clients.tiles import TilesClient
from hsis.cube.layout import INNER_CHUNK

REQUESTS = 200
ENOUGH_FOR_P99 = 100


async def measure(url: str, password: str, cube: tuple[str, str, int, int]) -> None:
    """Print the median of spectra of random pixels and the 99th percentile, or the longest where
    there are too few for one."""
    collection, item, rows, columns = cube
    choose = random.Random(7)  # noqa: S311 - which pixels, not a secret
    read: set[tuple[int, int]] = set()
    first: list[float] = []
    later: list[float] = []
    async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
        token = (await CatalogClient(http, url).login("admin", password)).access_token
        tiles = TilesClient(http, url)
        await tiles.spectrum(collection, item, 0, 0, token=token)  # opens the cube
        read.add((0, 0))
        for _ in range(REQUESTS):
            x, y = choose.randrange(columns), choose.randrange(rows)
            place = (y // INNER_CHUNK[1], x // INNER_CHUNK[2])
            began = time.perf_counter()
            await tiles.spectrum(collection, item, x, y, token=token)
            (later if place in read else first).append(time.perf_counter() - began)
            read.add(place)
    _report("spectrum of a pixel, chunks from the object store", first)
    _report("spectrum of a pixel, chunks read before", later)
    _report("spectrum of a pixel, all", first + later)


def _report(what: str, times: list[float]) -> None:
    if not times:
        return
    ordered = sorted(times)
    report(f"{what} ({len(times)}), p50", f"{ordered[len(times) // 2] * 1000:.1f} ms")
    if len(times) < ENOUGH_FOR_P99:
        report(f"{what}, max", f"{ordered[-1] * 1000:.1f} ms")
    else:
        report(f"{what}, p99", f"{ordered[int(len(times) * 0.99)] * 1000:.1f} ms")

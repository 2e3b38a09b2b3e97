"""What the lifespan opens and requests use."""

import asyncio
from concurrent.futures import Executor
from dataclasses import dataclass

import httpx

from hsis_tiles.cubes import OpenCubes


@dataclass(frozen=True, slots=True)
class State:
    """Resources of the running service. `previews` bounds how many are drawn at once."""

    cubes: OpenCubes
    executor: Executor
    previews: asyncio.Semaphore
    max_preview_pixels: int
    http: httpx.AsyncClient

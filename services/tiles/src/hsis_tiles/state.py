"""What the lifespan opens and requests use."""

import asyncio
import threading
from concurrent.futures import Executor
from dataclasses import dataclass

import httpx

from hsis.clients.storage import StorageClient
from hsis_tiles.cubes import OpenCubes
from hsis_tiles.export.export import Limits


@dataclass(frozen=True, slots=True)
class State:
    """Resources of the running service. `previews` and `exports` bound how many are made at once.

    Exports have threads of their own, so that no picture waits for one.
    """

    cubes: OpenCubes
    executor: Executor
    previews: asyncio.Semaphore
    max_preview_pixels: int
    http: httpx.AsyncClient
    storage: StorageClient
    exports: threading.Semaphore
    export_executor: Executor
    export_limits: Limits
    export_idle_s: float

"""What the tests of inference share."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from hsis_inference.device import Device, load_device
from tests.inference.platform import Bench

LAB = "lab"


@pytest.fixture(scope="session")
def cpu() -> Device:
    """torch on the CPU."""
    return load_device("cpu")


@pytest.fixture(scope="module")
async def bench(platform_of: Any, make_token: Callable[..., str]) -> AsyncIterator[Bench]:
    """Inference and what it needs, with an empty collection `lab`."""
    service = make_token(subject="service:ingest", scopes=("service",))
    async with (
        platform_of("catalog", "storage-proxy", "inference") as platform,
        httpx.AsyncClient(trust_env=False, timeout=30) as http,
    ):
        made = Bench(platform, http, service)
        await made.catalog.create_collection({"id": LAB, "description": "lab"}, token=made.token)
        yield made

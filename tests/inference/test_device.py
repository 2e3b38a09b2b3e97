"""Readiness waits for torch, and says what is wrong with the device."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from hsis.service.secret_files import SigningKeys
from hsis_inference import device
from hsis_inference.errors import DeviceNotReady
from tests.support.platform import service_app


def test_cuda_that_is_not_there() -> None:
    import torch

    if torch.cuda.is_available():
        assert device.load_device("cuda").name == "cuda"
        return
    with pytest.raises(DeviceNotReady, match="HSIS_DEVICE"):
        device.load_device("cuda")
    assert device.load_device("auto").label == "cpu"


@pytest.mark.parametrize("worker_enabled", [True, False])
async def test_readiness(
    worker_enabled: bool,
    serve: Callable[[Any], Awaitable[str]],
    database: Callable[[str], Awaitable[dict[str, Any]]],
    keys: SigningKeys,
) -> None:
    common = {
        "token_public_key": keys.public_pem,
        "service_secret": "secret",
        "worker_enabled": worker_enabled,
        **await database("inference"),
    }
    async with httpx.AsyncClient(trust_env=False) as http:
        url = await serve(service_app("hsis_inference", device="cpu", **common))
        for _ in range(100):
            answer = await http.get(f"{url}/readyz")
            if answer.status_code == 200:
                break
            assert answer.json()["checks"]["device"] == "torch is still being loaded."
            await asyncio.sleep(0.1)
        assert answer.json()["checks"] == {"postgres": "ok", "device": "ok"}
        assert (await http.get(f"{url}/livez")).status_code == 200

"""Readiness waits for torch, and says what is wrong with the device."""

import asyncio
import sys
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
        assert device.load_device("cuda").name == "cuda:0"
        return
    with pytest.raises(DeviceNotReady, match="HSIS_DEVICE"):
        device.load_device("cuda")
    assert device.load_device("auto").label == "cpu"


def test_torch_that_cannot_be_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)  # what makes Python refuse an import
    with pytest.raises(DeviceNotReady, match="cannot be loaded"):
        device.load_device("cpu")


def test_a_device_proves_that_it_computes() -> None:
    import torch

    device.prove(torch, "cpu")
    with pytest.raises(DeviceNotReady, match="meta cannot compute matmul"):
        device.prove(torch, "meta")  # it has shapes and no values


def test_a_device_that_computes_something_else_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import torch

    right = torch.nn.functional.conv2d
    answers = iter([0.0, 0.5])

    def conv2d(*operands: torch.Tensor) -> torch.Tensor:
        return right(*operands) + next(answers)

    monkeypatch.setattr(torch.nn.functional, "conv2d", conv2d)
    with pytest.raises(DeviceNotReady, match="another conv2d than the CPU"):
        device.prove(torch, "cpu")


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
    async with httpx.AsyncClient(trust_env=False) as http, asyncio.timeout(60):
        url = await serve(service_app("hsis_inference", device="cpu", **common))
        while (answer := await http.get(f"{url}/readyz")).status_code != 200:
            assert answer.json()["checks"]["device"] in {"ok", "torch is still being loaded."}
            await asyncio.sleep(0.1)
        assert answer.json()["checks"] == {"postgres": "ok", "device": "ok"}
        assert (await http.get(f"{url}/livez")).status_code == 200


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (DeviceNotReady("there is no GPU here."), "there is no GPU here."),
        (RuntimeError("a driver's own words"), "The device cannot be used; the log says why."),
    ],
)
async def test_readiness_tells_why_nothing_computes(
    failure: Exception,
    told: str,
    serve: Callable[[Any], Awaitable[str]],
    database: Callable[[str], Awaitable[dict[str, Any]]],
    keys: SigningKeys,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def load_device(*_: object) -> None:
        raise failure

    monkeypatch.setattr("hsis_inference.app.load_device", load_device)
    common = {"token_public_key": keys.public_pem, "service_secret": "secret"}
    url = await serve(service_app("hsis_inference", **common, **await database("inference")))
    async with httpx.AsyncClient(trust_env=False) as http, asyncio.timeout(60):
        while (answer := await http.get(f"{url}/readyz")).json()["checks"] != {
            "postgres": "ok",
            "device": told,
        }:
            assert answer.json()["checks"]["device"] in {told, "torch is still being loaded."}
            await asyncio.sleep(0.05)
    assert answer.status_code == 503

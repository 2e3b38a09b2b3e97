"""What computes: torch on the CPU or on a CUDA device. Importing this module imports no torch."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hsis_inference.errors import DeviceNotReady
from hsis_inference.gpu_locks import take_gpu

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Device:
    """torch and the device that it computes on. `label` is for people, `version` is torch's."""

    torch: Any
    name: str
    label: str
    version: str

    def tensor(self, values: NDArray[np.float64]) -> "Tensor":
        """The values on the device, float64."""
        made: Tensor = self.torch.from_numpy(np.ascontiguousarray(values)).to(self.name)
        return made


def load_device(wanted: str, gpu_locks: Path | None = None) -> Device:
    """Import torch (seconds) and take `auto`, `cpu` or `cuda`, a GPU of its own of several.

    A GPU must prove that it computes. DeviceNotReady where one is asked for and there is none, or
    where what it computes is not what the CPU does: it never falls back in silence. Also where
    torch cannot be loaded.
    """
    try:
        import torch
    except (ImportError, OSError) as error:  # OSError: a library that it needs is missing
        raise DeviceNotReady("torch cannot be loaded here; the log says why.") from error

    # TF32 would round float32 products to ten bits; everything here computes in float64 anyway.
    torch.set_float32_matmul_precision("highest")
    if wanted == "cpu" or (wanted == "auto" and not torch.cuda.is_available()):
        return Device(torch, "cpu", "cpu", torch.__version__)
    if not torch.cuda.is_available():
        raise DeviceNotReady("HSIS_DEVICE is cuda, but torch finds no CUDA device here.")
    number = 0
    if gpu_locks is not None:
        count = torch.cuda.device_count()
        number = take_gpu(
            [str(torch.cuda.get_device_properties(i).uuid) for i in range(count)], gpu_locks
        )
    name = f"cuda:{number}"
    prove(torch, name)
    return Device(torch, name, f"cuda ({torch.cuda.get_device_name(number)})", torch.__version__)


def prove(torch: Any, name: str) -> None:
    """DeviceNotReady unless the device computes a matrix product and a convolution as the CPU
    does."""
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(256, 256, generator=generator)
    image = torch.randn(1, 8, 64, 64, generator=generator)
    kernel = torch.randn(4, 8, 3, 3, generator=generator)
    for work, operands in (
        (torch.matmul, (matrix, matrix)),
        (torch.nn.functional.conv2d, (image, kernel)),
    ):
        expected = work(*operands)
        try:
            computed = work(*(operand.to(name) for operand in operands))
            agrees = torch.allclose(computed.cpu(), expected, rtol=1e-3, atol=1e-2)
        except RuntimeError as error:
            raise DeviceNotReady(f"{name} cannot compute {work.__name__}: {error}") from error
        if computed.device != torch.device(name):
            raise DeviceNotReady(f"{work.__name__} ran on {computed.device}, not on {name}.")
        if not agrees:
            raise DeviceNotReady(f"{name} computes another {work.__name__} than the CPU.")

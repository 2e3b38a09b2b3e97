"""What computes: torch on the CPU or on a CUDA device. Importing this module imports no torch."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hsis_inference.errors import DeviceNotReady

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


def load_device(wanted: str) -> Device:
    """Import torch (seconds) and take `auto`, `cpu` or `cuda`; DeviceNotReady without a CUDA
    device where one is asked for."""
    import torch

    cuda = wanted != "cpu" and torch.cuda.is_available()
    if wanted == "cuda" and not cuda:
        raise DeviceNotReady("HSIS_DEVICE is cuda, but torch finds no CUDA device here.")
    # TF32 would round float32 products to ten bits; everything here computes in float64 anyway.
    torch.set_float32_matmul_precision("highest")
    label = f"cuda ({torch.cuda.get_device_name()})" if cuda else "cpu"
    return Device(torch, "cuda" if cuda else "cpu", label, torch.__version__)

"""Global RX anomaly detection: Reed and Yu 1990, IEEE Trans. ASSP 38(10), 1760-1770.

Two passes. The first takes count, mean and scatter of every block, each about the block's own mean
so that nothing is lost to cancellation, and combines them pairwise (Chan et al. 1983) in the order
of the blocks: the result is the same to the bit whichever replicas worked.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hsis.contracts.spectra import Spectrum
from hsis.cube.gains import of_bands
from hsis.cube.layout import CubeInfo
from hsis_inference.device import Device
from hsis_inference.errors import NotEnoughPixels
from hsis_inference.processes.arrays import pack, unpack
from hsis_inference.processes.bands import chosen_bands, require_real
from hsis_inference.processes.base import (
    Plan,
    ProcessInputs,
    ResultBands,
    TwoPassProcess,
    empty_result,
)
from hsis_inference.processes.pixels import valid_pixels


class Inputs(ProcessInputs):
    """The bands to use."""

    bands: list[int] | None = Field(
        default=None,
        min_length=1,
        title="Bands",
        description="Numbers from 1; every good band when not given",
    )


class Rx(TwoPassProcess):
    """The squared Mahalanobis distance of every pixel from the mean of all."""

    id: ClassVar[str] = "rx"
    title: ClassVar[str] = "RX anomaly detection"
    description: ClassVar[str] = (
        "Global RX (Reed and Yu 1990): the squared Mahalanobis distance of every pixel from the "
        "mean of all valid pixels, float32. Where the covariance is singular, its pseudoinverse."
    )
    inputs: ClassVar[type[ProcessInputs]] = Inputs

    def plan(
        self,
        inputs: Inputs,
        info: CubeInfo,
        library: Sequence[Spectrum],  # noqa: ARG002 - every process's
    ) -> Plan:
        """Choose the bands."""
        require_real(info)
        bands = chosen_bands(inputs.bands, info)
        return Plan(
            bands=bands,
            scale=of_bands(info.scale, bands),
            offset=of_bands(info.offset, bands),
            nodata=info.nodata,
            result=ResultBands(dtype="float32", names=("rx",), nodata=float("nan"), unit="1"),
        )

    def gather(self, plan: Plan, block: NDArray[Any], device: Device) -> bytes:
        """Count, mean and scatter (sum of products of deviations) of the block's valid pixels."""
        total = _moments(0, np.zeros(len(plan.bands)), np.zeros((len(plan.bands),) * 2))
        for _, values in valid_pixels(plan, block):
            pixels = device.tensor(values)
            mean = pixels.mean(dim=1)
            centred = pixels - mean[:, None]
            scatter = centred @ centred.T
            part = _moments(pixels.shape[1], mean.cpu().numpy(), scatter.cpu().numpy())
            total = self.merge(total, part)
        return total

    def merge(self, first: bytes, second: bytes) -> bytes:
        """The moments of both (Chan et al. 1983); the order matters to the last bit."""
        a, b = unpack(first), unpack(second)
        count_a, count_b = int(a["count"]), int(b["count"])
        if count_a == 0 or count_b == 0:
            return second if count_a == 0 else first
        count = count_a + count_b
        delta = b["mean"] - a["mean"]
        mean = a["mean"] + delta * (count_b / count)
        scatter = a["scatter"] + b["scatter"]
        scatter += np.outer(delta, delta) * (count_a * (count_b / count))
        return _moments(count, mean, scatter)

    def conclude(self, partial: bytes) -> bytes:
        """The mean, and W with W Wᵀ = pseudoinverse of the sample covariance (divisor n - 1)."""
        moments = unpack(partial)
        count = int(moments["count"])
        if count < 2:
            raise NotEnoughPixels(
                f"{count} pixels are valid in every band used; rx needs 2 at the least. Name other "
                "bands by `bands`."
            )
        covariance = moments["scatter"] / (count - 1)
        values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
        # The same cut as of a pseudoinverse: what is below it is rounding, not variance.
        kept = values > max(values.max(), 0.0) * len(values) * np.finfo(np.float64).eps
        whitening = vectors[:, kept] / np.sqrt(values[kept])
        return pack(mean=moments["mean"], whitening=whitening)

    def compute(
        self, plan: Plan, model: bytes, block: NDArray[Any], device: Device
    ) -> NDArray[np.float32]:
        """The distances, (1, y, x); NaN where a pixel is invalid in a band used."""
        arrays = unpack(model)
        mean, whitening = device.tensor(arrays["mean"]), device.tensor(arrays["whitening"])
        result: NDArray[np.float32] = empty_result(plan, block[0].size)
        for places, values in valid_pixels(plan, block):
            whitened = whitening.T @ (device.tensor(values) - mean[:, None])
            result[0, places] = whitened.square().sum(dim=0).float().cpu().numpy()
        return result.reshape(1, *block.shape[1:])


def _moments(count: int, mean: NDArray[Any], scatter: NDArray[Any]) -> bytes:
    return pack(count=np.array(count, np.int64), mean=mean, scatter=scatter)

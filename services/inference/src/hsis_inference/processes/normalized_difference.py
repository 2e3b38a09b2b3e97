"""The normalized difference of two bands, such as the NDVI (Rouse et al. 1974)."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hsis.contracts.spectra import Spectrum
from hsis.cube.gains import of_bands
from hsis.cube.layout import CubeInfo
from hsis.errors import InvalidInput
from hsis_inference.device import Device
from hsis_inference.processes.bands import band_at, check_band, require_real
from hsis_inference.processes.base import (
    OnePassProcess,
    Plan,
    ProcessInputs,
    ResultBands,
    empty_result,
)
from hsis_inference.processes.pixels import valid_pixels


class Inputs(ProcessInputs):
    """Two bands, by wavelength or by number."""

    wavelength_a_nm: float = Field(
        default=860.0,
        gt=0,
        title="Wavelength a (nm)",
        description="The good band nearest to it is a; 860 and 650 nm give the NDVI",
    )
    wavelength_b_nm: float = Field(
        default=650.0,
        gt=0,
        title="Wavelength b (nm)",
        description="The good band nearest to it is b",
    )
    band_a: int | None = Field(
        default=None, ge=1, title="Band a", description="By number, instead of wavelength a"
    )
    band_b: int | None = Field(
        default=None, ge=1, title="Band b", description="By number, instead of wavelength b"
    )


class NormalizedDifference(OnePassProcess):
    """(a - b) / (a + b) of physical values; NaN where a or b is invalid or their sum is 0."""

    id: ClassVar[str] = "normalized-difference"
    title: ClassVar[str] = "Normalized difference"
    description: ClassVar[str] = (
        "(a - b) / (a + b) of two bands, computed in float64 and stored as float32; no data where "
        "a or b has none or their sum is 0. The defaults give the NDVI."
    )
    inputs: ClassVar[type[ProcessInputs]] = Inputs

    def plan(
        self,
        inputs: Inputs,
        info: CubeInfo,
        library: Sequence[Spectrum],  # noqa: ARG002 - every process's
    ) -> Plan:
        """Find the two bands."""
        require_real(info)
        a = _band(inputs.band_a, "band_a", inputs.wavelength_a_nm, "wavelength_a_nm", info)
        b = _band(inputs.band_b, "band_b", inputs.wavelength_b_nm, "wavelength_b_nm", info)
        if a == b:
            raise InvalidInput(f"Both a and b are band {a + 1}; two different bands are right.")
        return Plan(
            bands=(a, b),
            scale=of_bands(info.scale, (a, b)),
            offset=of_bands(info.offset, (a, b)),
            nodata=info.nodata,
            result=ResultBands(
                dtype="float32", names=("normalized difference",), nodata=float("nan"), unit="1"
            ),
        )

    def compute(self, plan: Plan, block: NDArray[Any], device: Device) -> NDArray[np.float32]:
        """See the class; the block is (2, y, x), a first."""
        result: NDArray[np.float32] = empty_result(plan, block[0].size)
        for places, values in valid_pixels(plan, block):
            a, b = device.tensor(values)
            total = a + b
            quotient = (a - b) / total
            quotient[total == 0] = float("nan")
            result[0, places] = quotient.float().cpu().numpy()
        return result.reshape(1, *block.shape[1:])


def _band(
    number: int | None, name: str, wavelength_nm: float, wavelength_name: str, info: CubeInfo
) -> int:
    if number is None:
        return band_at(wavelength_nm, wavelength_name, info)
    check_band(number, name, info)
    return number - 1

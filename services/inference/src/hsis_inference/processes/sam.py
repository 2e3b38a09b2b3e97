"""Spectral angle mapper: Kruse et al. 1993, Remote Sensing of Environment 44, 145-163."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hsis.contracts.spectra import Spectrum, SpectrumName
from hsis.cube.classes import numbered_classes
from hsis.cube.gains import of_bands
from hsis.cube.layout import CubeInfo
from hsis.errors import InvalidInput
from hsis_inference.device import Device
from hsis_inference.processes.bands import chosen_bands, require_real
from hsis_inference.processes.base import (
    OnePassProcess,
    Plan,
    ProcessInputs,
    ResultBands,
    empty_result,
)
from hsis_inference.processes.pixels import valid_pixels
from hsis_inference.processes.references import (
    InlineSpectrum,
    at_bands,
    inline_of,
)

MAX_SPECTRA = 255
"""As many classes as a uint8 has besides 0."""


class Inputs(ProcessInputs):
    """Reference spectra, given or of the library, and what to make of the angles."""

    spectra: list[InlineSpectrum] = Field(
        default=[],
        max_length=MAX_SPECTRA,
        title="Spectra",
        description="Reference spectra: name, values and, where not the cube's, wavelengths_nm",
    )
    library: list[SpectrumName] = Field(
        default=[],
        max_length=MAX_SPECTRA,
        title="Library spectra",
        description="Names or ids of spectra in the collection's library, after those given",
    )
    output: Literal["class", "angle"] = Field(
        default="class",
        title="Output",
        description="class: a class map (0 none, 1… in the order given); "
        "angle: the angle to each spectrum in radians",
    )
    max_angle_rad: float | None = Field(
        default=None,
        gt=0,
        le=math.pi,
        title="Largest angle (rad)",
        description="A pixel with a larger angle to every spectrum has the class 0",
    )
    bands: list[int] | None = Field(
        default=None,
        min_length=1,
        title="Bands",
        description="Numbers from 1; every good band when not given",
    )


class Sam(OnePassProcess):
    """The angle between each pixel's spectrum and reference spectra, and the class of least angle.

    A pixel that is invalid in a band used, or 0 in all, has the class 0 and the angle NaN.
    """

    id: ClassVar[str] = "sam"
    title: ClassVar[str] = "Spectral angle mapper"
    description: ClassVar[str] = (
        "The spectral angle (Kruse et al. 1993) of every pixel to reference spectra, in float64: "
        "a class map of the least angle, or the angles. Give `spectra`, `library` or both."
    )
    inputs: ClassVar[type[ProcessInputs]] = Inputs

    def plan(self, inputs: Inputs, info: CubeInfo, library: Sequence[Spectrum]) -> Plan:
        """Bring the spectra to the cube's bands. `library` is in the order of the input."""
        require_real(info)
        bands = chosen_bands(inputs.bands, info)
        given = [(spectrum, "spectra") for spectrum in inputs.spectra]
        given += [(inline_of(spectrum), "library") for spectrum in library]
        _check_names([spectrum.name for spectrum, _ in given])
        references = [at_bands(spectrum, name, info, bands) for spectrum, name in given]
        names = tuple(spectrum.name for spectrum, _ in given)
        return Plan(
            bands=bands,
            scale=of_bands(info.scale, bands),
            offset=of_bands(info.offset, bands),
            nodata=info.nodata,
            result=_result(inputs.output, names),
            values={
                "references": [reference.tolist() for reference in references],
                "max_angle_rad": inputs.max_angle_rad,
            },
        )

    def compute(self, plan: Plan, block: NDArray[Any], device: Device) -> NDArray[Any]:
        """Classes (1, y, x), uint8, or angles (spectrum, y, x), float32, radians."""
        references = np.array(plan.values["references"], np.float64)
        references /= np.linalg.norm(references, axis=1, keepdims=True)
        directions = device.tensor(references)
        result = empty_result(plan, block[0].size)
        for places, values in valid_pixels(plan, block):
            pixels = device.tensor(values)
            cosines = (directions @ pixels) / pixels.norm(dim=0)  # NaN for a pixel of zeros
            angles = cosines.clamp(-1.0, 1.0).acos().cpu().numpy()
            if plan.result.classes:
                result[0, places] = _classes(angles, plan.values["max_angle_rad"])
            else:
                result[:, places] = angles
        return result.reshape(-1, *block.shape[1:])


def _classes(angles: NDArray[np.float64], max_angle_rad: float | None) -> NDArray[np.uint8]:
    """The number from 1 of the least angle of each pixel, the first of equal ones."""
    least = angles.min(axis=0)
    accepted = np.isfinite(least)
    if max_angle_rad is not None:
        accepted &= least <= max_angle_rad
    return np.where(accepted, angles.argmin(axis=0) + 1, 0).astype(np.uint8)


def _result(output: str, names: tuple[str, ...]) -> ResultBands:
    if output == "class":
        classes = numbered_classes(names)
        return ResultBands(dtype="uint8", names=("class",), nodata=0, classes=classes)
    return ResultBands(dtype="float32", names=names, nodata=float("nan"), unit="rad")


def _check_names(names: Sequence[str]) -> None:
    if not names:
        raise InvalidInput(
            "spectra: there is none; give `spectra`, `library` (names of the collection's "
            "spectral library) or both."
        )
    if len(names) > MAX_SPECTRA:
        raise InvalidInput(f"spectra: {len(names)} with those of `library`; {MAX_SPECTRA} at most.")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidInput(f"spectra: two have the name {twice[0]!r}; a name of its own is right.")

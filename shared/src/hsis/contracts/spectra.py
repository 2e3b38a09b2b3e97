"""The spectral library and spectra read from cubes."""

from datetime import datetime
from itertools import pairwise
from typing import Annotated, Self

from pydantic import BaseModel, Field, FiniteFloat, StringConstraints, model_validator

from hsis.contracts.ids import ResourceId

SpectrumName = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f]{1,200}$")]


class NewSpectrum(BaseModel):
    """A reference spectrum for a collection's library. Lists are of equal length, one value a band.

    `wavelengths_nm` ascend, in nanometres; without them the spectrum fits only cubes of as many
    bands.
    """

    collection: ResourceId
    name: SpectrumName
    values: list[FiniteFloat] = Field(min_length=1, max_length=20_000)
    wavelengths_nm: list[FiniteFloat] | None = None
    unit: str | None = Field(default=None, max_length=100)
    source: str | None = Field(default=None, max_length=2000, description="Where it comes from")

    @model_validator(mode="after")
    def _check_lengths(self) -> Self:
        wavelengths = self.wavelengths_nm
        if wavelengths is None:
            return self
        if len(wavelengths) != len(self.values):
            raise ValueError(
                f"{len(self.values)} values but {len(wavelengths)} wavelengths; one each is right"
            )
        if any(b <= a for a, b in pairwise(wavelengths)):
            raise ValueError("wavelengths_nm must ascend")
        return self


class Spectrum(NewSpectrum):
    """A spectrum of the library."""

    id: str
    created_at: datetime


class SpectrumList(BaseModel):
    """Spectra of one collection, by name."""

    spectra: list[Spectrum]


class PixelSpectrum(BaseModel):
    """The spectrum of one pixel of a stored cube; (0, 0) is the upper left pixel.

    A list has one entry a band. Values are those that were uploaded, in stored units (the physical
    one, in `unit`, is `stored * scale + offset`). A value is null where the cube has no data (its
    nodata value, or NaN); `good_bands` is true where the band is fit for use.
    """

    x: int
    y: int
    wavelengths_nm: list[float] | None
    values: list[float | None]
    unit: str | None
    good_bands: list[bool]

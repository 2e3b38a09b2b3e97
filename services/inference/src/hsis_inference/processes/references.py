"""Reference spectra brought to the bands of a cube."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from hsis.contracts.spectra import Spectrum, SpectrumName
from hsis.cube.layout import CubeInfo
from hsis.errors import InvalidInput

MAX_BANDS = 20_000


class InlineSpectrum(BaseModel):
    """A spectrum given with the request, one value a band; null where there is none.

    In physical units of the cube or any multiple of them; without wavelengths it fits a cube of as
    many bands.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)

    name: SpectrumName
    values: Sequence[float | None] = Field(min_length=1, max_length=MAX_BANDS)
    wavelengths_nm: Sequence[float | None] | None = Field(default=None, max_length=MAX_BANDS)


def inline_of(spectrum: Spectrum) -> InlineSpectrum:
    """A spectrum of the library in the same form."""
    return InlineSpectrum.model_construct(
        name=spectrum.name, values=spectrum.values, wavelengths_nm=spectrum.wavelengths_nm
    )


def at_bands(
    spectrum: InlineSpectrum, name: str, info: CubeInfo, bands: Sequence[int]
) -> NDArray[np.float64]:
    """The spectrum's values at bands (from 0) of the cube, interpolated linearly where its own
    wavelengths are others. InvalidInput, with the input's `name`, where it does not reach a band,
    has no value there, or is 0 everywhere."""
    values = _numbers(spectrum.values)
    what = f"{name}: the spectrum {spectrum.name!r}"
    if spectrum.wavelengths_nm is None:
        if len(values) != info.bands:
            raise InvalidInput(
                f"{what} has {len(values)} values and no wavelengths_nm; {info.bands} values, one "
                "for each band of the cube, or wavelengths_nm are right."
            )
        found = values[list(bands)]
    else:
        found = _resampled(values, _numbers(spectrum.wavelengths_nm), what, info, bands)
    missing = np.flatnonzero(~np.isfinite(found))
    if missing.size:
        raise InvalidInput(
            f"{what} has no value for band {bands[int(missing[0])] + 1} of the cube; leave the "
            "band out by `bands`, or give another spectrum."
        )
    if not found.any():
        raise InvalidInput(f"{what} is 0 in every band used: it has no direction.")
    return found


def _resampled(
    values: NDArray[np.float64],
    wavelengths: NDArray[np.float64],
    what: str,
    info: CubeInfo,
    bands: Sequence[int],
) -> NDArray[np.float64]:
    if len(wavelengths) != len(values):
        raise InvalidInput(
            f"{what} has {len(values)} values but {len(wavelengths)} wavelengths_nm; as many are "
            "right."
        )
    if info.wavelengths_nm is None:
        raise InvalidInput(
            f"{what} has wavelengths_nm but the cube has none; a spectrum of {info.bands} values "
            "without wavelengths_nm is right."
        )
    centres = np.array(info.wavelengths_nm, np.float64)
    if wavelengths.shape == centres.shape and np.array_equal(wavelengths, centres, equal_nan=True):
        return values[list(bands)]
    known = np.isfinite(values) & np.isfinite(wavelengths)
    order = np.argsort(wavelengths[known], kind="stable")
    at, there = wavelengths[known][order], values[known][order]
    if at.size == 0:
        raise InvalidInput(f"{what} has no value with a wavelength.")
    wanted = centres[list(bands)]
    outside = np.flatnonzero(~((wanted >= at[0]) & (wanted <= at[-1])))
    if outside.size:
        band = int(outside[0])
        raise InvalidInput(
            f"{what} covers {at[0]:g} to {at[-1]:g} nm; band {bands[band] + 1} of the cube is at "
            f"{wanted[band]:g} nm. Name the bands to use by `bands`, or give another spectrum."
        )
    return np.interp(wanted, at, there)


def _numbers(values: Sequence[float | None]) -> NDArray[np.float64]:
    return np.array([np.nan if value is None else value for value in values], np.float64)

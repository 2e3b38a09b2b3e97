"""The spectrum of a pixel, as stored or in physical values."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsis.cube.gains import physical
from hsis.cube.layout import CubeInfo
from hsis.cube.statistics import valid_mask
from hsis.errors import InvalidInput


def check_pixel(info: CubeInfo, x: int, y: int) -> None:
    """InvalidInput, with the valid ranges, unless the cube has a pixel in column x and row y."""
    _, rows, columns = info.shape
    if not (0 <= x < columns and 0 <= y < rows):
        raise InvalidInput(
            f"There is no pixel ({x}, {y}): x must be 0 to {columns - 1} and y 0 to {rows - 1}; "
            "(0, 0) is the upper left pixel."
        )


def told_values(
    stored: NDArray[Any], info: CubeInfo, *, scaled: bool = False
) -> list[float | int | None]:
    """Stored values, one a band, None where invalid or too large for a float64.

    They are the stored numbers themselves, integers of 64 bits included, or, where `scaled`,
    `stored * scale + offset`; complex values are told by their magnitude.
    """
    values = stored
    valid = valid_mask(values, info.nodata)
    with np.errstate(over="ignore", invalid="ignore"):
        if values.dtype.kind == "c":
            values = np.abs(values.astype(np.complex128))
        if scaled and info.is_scaled:
            values = physical(values, info.scale, info.offset)
    valid &= np.isfinite(values)  # JSON has no infinity
    return [
        value if fit else None for value, fit in zip(values.tolist(), valid.tolist(), strict=True)
    ]


def spectrum_document(
    info: CubeInfo, x: int, y: int, stored: NDArray[Any], *, scaled: bool = False
) -> dict[str, Any]:
    """The JSON form of `hsis.contracts.spectra.PixelSpectrum` for stored values of shape (bands,).

    Wavelengths are left out (null) where one of them is not a number.
    """
    wavelengths = info.wavelengths_nm
    if wavelengths is not None and not all(map(math.isfinite, wavelengths)):
        wavelengths = None
    return {
        "x": x,
        "y": y,
        "wavelengths_nm": None if wavelengths is None else list(wavelengths),
        "values": told_values(stored, info, scaled=scaled),
        "unit": info.unit,
        "good_bands": list(info.good),
    }

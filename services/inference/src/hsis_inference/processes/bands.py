"""Choosing bands of a cube. Bands count from 1 in inputs and messages, from 0 in answers."""

from collections.abc import Sequence

import numpy as np

from hsis.cube.layout import CubeInfo
from hsis.errors import InvalidInput

MAX_DISTANCE_NM = 50.0
"""A band whose centre is further than this from a wavelength does not stand for it."""


def require_real(info: CubeInfo) -> None:
    """InvalidInput for a cube of complex values."""
    if info.dtype.kind == "c":
        raise InvalidInput(f"item: the cube is {info.dtype.name}; a cube of real values is right.")


def chosen_bands(bands: Sequence[int] | None, info: CubeInfo) -> tuple[int, ...]:
    """The bands of an input `bands`, in ascending order; every good band where none is given."""
    if bands is None:
        good = tuple(band for band, fit in enumerate(info.good) if fit)
        if not good:
            raise InvalidInput("bands: the cube has no good band; name the bands to use.")
        return good
    for band in bands:
        check_band(band, "bands", info)
    if len(set(bands)) != len(bands):
        raise InvalidInput("bands: a band is named twice; once each is right.")
    return tuple(sorted(band - 1 for band in bands))


def check_band(band: int, name: str, info: CubeInfo) -> None:
    """InvalidInput unless the cube has that band (from 1)."""
    if not 1 <= band <= info.bands:
        raise InvalidInput(f"{name}: there is no band {band}; the cube has 1 to {info.bands}.")


def band_at(wavelength_nm: float, name: str, info: CubeInfo) -> int:
    """The good band whose centre is nearest, from 0; InvalidInput where none is near."""
    if info.wavelengths_nm is None:
        raise InvalidInput(
            f"{name}: the cube has no wavelengths; name the bands by band_a and band_b."
        )
    centres = np.where(info.good, np.array(info.wavelengths_nm, np.float64), np.nan)
    distances = np.abs(centres - wavelength_nm)
    if not np.isfinite(distances).any():
        raise InvalidInput(f"{name}: no good band of the cube has a wavelength.")
    nearest = int(np.nanargmin(distances))
    if distances[nearest] > MAX_DISTANCE_NM:
        raise InvalidInput(
            f"{name}: the good band nearest to {wavelength_nm:g} nm is band {nearest + 1} at "
            f"{info.wavelengths_nm[nearest]:g} nm; within {MAX_DISTANCE_NM:g} nm is right."
        )
    return nearest

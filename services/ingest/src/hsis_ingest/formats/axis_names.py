"""What the names of axes and of arrays beside a cube mean."""

import math
from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from hsis.envi import guessed_unit, length_nm
from hsis_ingest.errors import HeaderMismatch

WAVELENGTH_NAMES = frozenset(
    {"wavelength", "wavelengths", "wavelength_nm", "lambda", "wl", "band_wavelength",
     "center_wavelength", "center_wavelengths", "central_wavelength"}
)  # fmt: skip
FWHM_NAMES = frozenset({"fwhm", "fwhm_nm", "bandwidth", "bandwidths"})
GOOD_BAND_NAMES = frozenset({"good_wavelengths", "good_bands", "good_band", "bbl"})
BAND_AXES = WAVELENGTH_NAMES | {
    "b", "band", "bands", "channel", "channels", "spectral", "spectrum", "wavenumber", "c", "nb",
    "nbands", "number_of_bands",
}  # fmt: skip
Y_AXES = frozenset(
    {"y", "lat", "latitude", "row", "rows", "line", "lines", "downtrack", "along_track",
     "alongtrack", "scan", "scans", "number_of_scans", "number_of_lines", "northing", "height",
     "ny", "nrows"}
)  # fmt: skip
X_AXES = frozenset(
    {"x", "lon", "longitude", "column", "columns", "col", "cols", "sample", "samples",
     "crosstrack", "across_track", "acrosstrack", "pixel", "pixels", "number_of_pixels", "easting",
     "width", "nx", "ncols"}
)  # fmt: skip
LETTERS = (("b", BAND_AXES), ("y", Y_AXES), ("x", X_AXES))
NO_UNIT = frozenset({"", "1", "none", "unknown"})


def axes_of_names(names: Sequence[str | None]) -> str | None:
    """The letters of three axes by their names; None where the names do not tell.

    One axis without a known name is the one that is left; of two, the first is y where the
    third is the bands' one.
    """
    letters = [_letter(name) for name in names]
    known = [letter for letter in letters if letter]
    if not known or len(set(known)) < len(known):
        return None
    left = [letter for letter in "byx" if letter not in known]
    if len(left) == 2 and "b" in left:
        return None
    return "".join(letter or left.pop(0) for letter in letters)


def nanometres(unit: str | None, values: NDArray[Any]) -> float | None:
    """Nanometres in one of `unit`, guessed from the wavelengths `values` where none is said; None
    where it counts no lengths."""
    if (unit or "").strip().lower() in NO_UNIT:
        return guessed_unit(tuple(float(value) for value in values.ravel()))
    return length_nm(unit or "")


def lengths_nm(values: NDArray[Any], factor: float | None, where: str) -> tuple[float, ...] | None:
    """Wavelengths or widths in nanometres, `factor` of which are in one of the file's unit; None
    without a factor. HeaderMismatch where one is no finite number."""
    numbers = tuple(float(value) for value in values.ravel())
    if not all(map(math.isfinite, numbers)):
        raise HeaderMismatch(f"{where} holds something that is no number.")
    return None if factor is None else tuple(number * factor for number in numbers)


def _letter(name: str | None) -> str | None:
    plain = (name or "").strip().lower().replace(" ", "_")
    for letter, names in LETTERS:
        if plain in names:
            return letter
    return "b" if plain.endswith("_bands") else None

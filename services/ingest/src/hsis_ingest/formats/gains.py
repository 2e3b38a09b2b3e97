"""Scale and offset as files say them: one number, or one a band (docs/decisions/0018)."""

import math
from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from hsis.cube.gains import Gain, gain_of
from hsis.cube.layout import BAND_OFFSET, BAND_SCALE, BY_BAND
from hsis_ingest.errors import HeaderMismatch

SCALE_NAMES, OFFSET_NAMES = frozenset({BAND_SCALE}), frozenset({BAND_OFFSET})
"""Of the arrays beside a cube whose attribute PHYSICAL_VALUES says that they count."""


def gain_of_attribute(
    numbers: Sequence[float], bands: int, what: str, *, zero_allowed: bool
) -> Gain:
    """The scale or offset of an attribute, `what` in messages; HeaderMismatch where it has neither
    one number nor one a band, or one that cannot be."""
    if len(numbers) not in {1, bands}:
        raise HeaderMismatch(
            f"{what} has {len(numbers)} numbers; one is right, or one for each of the {bands} "
            "bands."
        )
    for place, value in enumerate(numbers, start=1):
        if not math.isfinite(value) or (value == 0 and not zero_allowed):
            of_band = f" of band {place}" if len(numbers) > 1 else ""
            right = "a finite number" if zero_allowed else "a finite number that is not 0"
            raise HeaderMismatch(f"{what} = {value}{of_band} cannot be; {right} is right.")
    return gain_of(numbers)


def gains_by_band(
    scales: NDArray[Any] | None, offsets: NDArray[Any] | None, where: str
) -> tuple[Gain, Gain]:
    """Scale and offset of the arrays of one value a band; HeaderMismatch where one is missing or
    holds what none can be."""
    found: list[Gain] = []
    for name, values in ((BAND_SCALE, scales), (BAND_OFFSET, offsets)):
        if values is None:
            raise HeaderMismatch(f"{where}: it says `{BY_BAND}`, and there is no {name} beside it.")
        numbers = [float(value) for value in values.ravel()]
        if not all(map(math.isfinite, numbers)) or (name == BAND_SCALE and 0 in numbers):
            raise HeaderMismatch(
                f"{where}: {name} holds what cannot be; finite numbers are right, scales not 0."
            )
        found.append(gain_of(numbers))
    return found[0], found[1]

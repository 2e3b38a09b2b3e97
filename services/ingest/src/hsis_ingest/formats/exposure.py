"""Exposure times that headers of raw scenes say."""

import math
import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hsis.envi import listed
from hsis_ingest.errors import HeaderMismatch
from hsis_ingest.formats.envi_header import EnviHeader

ONE_CAMERA = ("tint", "integration time")
TWO_CAMERAS = ("tint1", "tint2")
"""Of two cameras in one; `vimg1` and `vimg2` say which bands (from 1, last included) are whose."""
SAME = 1e-3
"""Times that differ by no more, relatively, are the same."""


@dataclass(frozen=True, slots=True)
class Exposure:
    """The time of each band, in the unit that the header's `key` has."""

    key: str
    times: NDArray[np.float64]

    def same_as(self, other: "Exposure") -> bool:
        """Whether both were exposed alike."""
        return self.key == other.key and bool(np.allclose(self.times, other.times, rtol=SAME))

    def __str__(self) -> str:
        """Such as `tint = 8`."""
        return f"{self.key} = " + ", ".join(f"{time:g}" for time in dict.fromkeys(self.times))


def exposure_of(header: EnviHeader, name: str) -> Exposure | None:
    """What a header says; None where it says nothing. `name` is its file's.

    HeaderMismatch for what is no time, and for two times without the bands that they are of.
    """
    for key in ONE_CAMERA:
        if key in header.fields:
            return Exposure(key, np.full(header.bands, _time(header, key, name)))
    if any(key not in header.fields for key in TWO_CAMERAS):
        return None
    times = np.full(header.bands, np.nan)
    for key, bands_key in zip(TWO_CAMERAS, ("vimg1", "vimg2"), strict=True):
        ends = listed(header.fields.get(bands_key, ""))
        if len(ends) == 2 and all(re.fullmatch(r"[0-9]{1,6}", end) for end in ends):
            times[max(0, int(ends[0]) - 1) : int(ends[1])] = _time(header, key, name)
    if np.isnan(times).any():
        raise HeaderMismatch(
            f"{name} says two exposure times, but `vimg1` and `vimg2` do not say for each of its "
            f"{header.bands} bands which one it has."
        )
    return Exposure(" ".join(TWO_CAMERAS), times)


def _time(header: EnviHeader, key: str, name: str) -> float:
    text = header.fields[key]
    try:
        time = float(text)
    except ValueError:
        time = math.nan
    if not (math.isfinite(time) and time > 0):
        raise HeaderMismatch(f"{name}: {key} = {text[:40]}; a number above 0 is right.")
    return time

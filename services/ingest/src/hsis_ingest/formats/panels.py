"""What the white reference of a scene is: a panel that reflects less than all of the light."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsis.cube.layout import CubeInfo
from hsis.cube.panel_table import PanelTable
from hsis_ingest.errors import MetadataMismatch

EDGE_NM = 0.05
"""A band so little outside of a table has the value at its end."""


@dataclass(frozen=True, slots=True)
class WhitePanel:
    """`reflectance` for all bands, or the table in the file `name`. `wavelengths_nm` are those that
    the uploader gives, which win over the scene's own; `otherwise_nm` count where neither has any.
    """

    reflectance: float | PanelTable
    name: str | None = None
    wavelengths_nm: Sequence[float] | None = None
    otherwise_nm: Sequence[float] | None = None

    def of_bands(self, info: CubeInfo) -> NDArray[np.float64]:
        """What it reflects at each band, by linear interpolation; MetadataMismatch where the table
        does not reach a band."""
        table = self.reflectance
        if not isinstance(table, PanelTable):
            return np.full(info.bands, table)
        wavelengths = self.wavelengths_nm or info.wavelengths_nm or self.otherwise_nm
        if wavelengths is None or len(wavelengths) != info.bands:
            has = "no wavelengths" if wavelengths is None else f"{len(wavelengths)} wavelengths"
            raise MetadataMismatch(
                f"{self.name} tells the white panel's reflectance by wavelength, but the "
                f"{info.bands} bands of the scene have {has}: give one each (`wavelengths`), or "
                "one number as `white_reflectance`."
            )
        first, last = table.wavelengths_nm[0], table.wavelengths_nm[-1]
        for number, wavelength in enumerate(wavelengths, start=1):
            if not first - EDGE_NM <= wavelength <= last + EDGE_NM:
                raise MetadataMismatch(
                    f"`white_reflectance`: {self.name} has the white panel's reflectance from "
                    f"{first:g} to {last:g} nm; band {number} is at {wavelength:g} nm. A table "
                    "that reaches all bands is right, or one number."
                )
        found: NDArray[np.float64] = np.interp(wavelengths, table.wavelengths_nm, table.reflectance)
        return found

    def told(self, of_bands: NDArray[np.float64]) -> dict[str, Any]:
        """What the item says of it."""
        if self.name is None:
            return {"hsi:white_reflectance": float(of_bands[0])}
        return {
            "hsi:white_reflectance": [round(float(value), 6) for value in of_bands],
            "hsi:white_reflectance_file": self.name,
        }

"""A text or CSV file that says what a white panel reflects by wavelength: its certificate."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from hsis.contracts.metadata import LARGEST_MICROMETRES, NANOMETRES, unit_name
from hsis.contracts.uploads import MAX_REFLECTANCE
from hsis.cube.band_table import COLUMNS, is_number, rows_of
from hsis.errors import InvalidInput

REFLECTANCE = frozenset({"reflectance", "reflectivity", "refl", "factor"})


@dataclass(frozen=True, slots=True)
class PanelTable:
    """Ascending wavelengths, and the reflectance at each: 1 is all of the light."""

    wavelengths_nm: tuple[float, ...]
    reflectance: tuple[float, ...]


def parse_panel_table(content: bytes, name: str) -> PanelTable:
    """The table in a file called `name`: two columns, wavelength and reflectance, parted as those
    of a list of bands (see `band_table`).

    A first line of words may name them, in any order among others: `wavelength` with its unit, and
    `reflectance`, in percent where it has a `%`. Without a unit, wavelengths that are all below
    100 are micrometres. InvalidInput says which line is wrong.
    """
    rows = rows_of(content, name)
    places, unit, percent = (0, 1), None, False
    if not is_number(rows[0][1][0]):
        places, unit, percent = _named_columns(rows.pop(0)[1], name)
        if not rows:
            raise InvalidInput(f"{name} has no line with a wavelength and a reflectance.")
    elif len(rows[0][1]) != 2:
        raise InvalidInput(
            f"{name}, line {rows[0][0]}: {len(rows[0][1])} columns without names; wavelength, "
            "reflectance, or a first line that names the columns, is right."
        )
    found: dict[float, float] = {}
    for line, cells in rows:
        if len(cells) <= max(places):
            raise InvalidInput(f"{name}, line {line}: {len(cells)} columns; more are named above.")
        wavelength = _number(cells[places[0]], math.inf, f"{name}, line {line}", "wavelength")
        if wavelength in found:
            raise InvalidInput(f"{name}, line {line}: the wavelength {wavelength:g} comes twice.")
        most = MAX_REFLECTANCE * (100 if percent else 1)
        value = _number(cells[places[1]], most, f"{name}, line {line}", "reflectance")
        found[wavelength] = value / 100 if percent else value
    if unit is None:
        unit = "um" if max(found) < LARGEST_MICROMETRES else "nm"
    ordered = sorted(found)
    return PanelTable(
        tuple(wavelength * NANOMETRES[unit] for wavelength in ordered),
        tuple(found[wavelength] for wavelength in ordered),
    )


def _named_columns(cells: Sequence[str], name: str) -> tuple[tuple[int, int], str | None, bool]:
    places: dict[str, int] = {}
    unit, percent = None, False
    for place, cell in enumerate(cells):
        words = {word for word in re.split(r"[^0-9a-zµμ%]+", cell.lower()) if word}
        if words & COLUMNS["wavelength"] and "wavelength" not in places:
            places["wavelength"] = place
            units = {unit_name(word) for word in words} & {"nm", "um"}
            unit = str(units.pop()) if len(units) == 1 else None
        elif words & REFLECTANCE and "reflectance" not in places:
            places["reflectance"] = place
            percent = "%" in cell or "percent" in words
    if len(places) != 2:
        raise InvalidInput(
            f"{name}, first line: {', '.join(cells)[:80]}; a column called `wavelength` and one "
            "called `reflectance` are right."
        )
    return (places["wavelength"], places["reflectance"]), unit, percent


def _number(text: str, most: float, where: str, what: str) -> float:
    value = float(text) if is_number(text) else math.nan
    if not (math.isfinite(value) and 0 < value <= most):
        limit = "" if math.isinf(most) else f" to {most:g} (percent: a column with `%` in its name)"
        raise InvalidInput(f"{where}: the {what} {text[:40]!r}; a number above 0{limit} is right.")
    return value

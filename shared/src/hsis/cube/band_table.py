"""A text or CSV file that says a line a band: wavelength, or wavelength, width, fit for use."""

import math
import re
from dataclasses import dataclass

from hsis.contracts.metadata import MAX_BANDS, unit_name
from hsis.errors import InvalidInput
from hsis.texts import decoded

MAX_BYTES = 4 * 1024 * 1024
TRUE = frozenset({"1", "1.0", "true", "yes", "good"})
FALSE = frozenset({"0", "0.0", "false", "no", "bad"})
COLUMNS = {
    "wavelength": frozenset({"wavelength", "wavelengths", "wl", "lambda", "center", "centre"}),
    "fwhm": frozenset({"fwhm", "width", "widths", "bandwidth"}),
    "good": frozenset({"good", "bbl", "valid"}),
}


@dataclass(frozen=True, slots=True)
class BandTable:
    """What a file says, one entry a band; `unit` is `nm` or `um` where it names one."""

    wavelengths: list[float]
    fwhm: list[float] | None
    good_bands: list[bool] | None
    unit: str | None


def parse_band_table(content: bytes, name: str) -> BandTable:
    """The table in a file called `name`.

    Columns are parted by commas, semicolons (numbers may then have decimal commas), tabs or
    blanks; `#` begins a comment. A first line of words names the columns: `wavelength`, `fwhm`,
    `good`, in any order among others, with the unit as in `wavelength_nm` or `wavelength (µm)`.
    Without one they come in this order. InvalidInput says which line is wrong.
    """
    rows = rows_of(content, name)
    places, unit = {"wavelength": 0, "fwhm": 1, "good": 2}, None
    width = len(rows[0][1])
    if not is_number(rows[0][1][0]):
        places, unit = _named_columns(rows.pop(0)[1], name)
    elif width > 3:
        raise InvalidInput(
            f"{name}, line {rows[0][0]}: {width} columns without names; wavelength, fwhm, good, or "
            "a first line that names the columns, is right."
        )
    if not 0 < len(rows) <= MAX_BANDS:
        raise InvalidInput(f"{name} has {len(rows)} lines of bands; 1 to {MAX_BANDS} are right.")
    for number, cells in rows:
        if len(cells) != width:
            raise InvalidInput(
                f"{name}, line {number}: {len(cells)} columns; {width} are right, as above."
            )

    def column(kind: str) -> list[tuple[int, str]] | None:
        place = places.get(kind, width)
        return [(number, cells[place]) for number, cells in rows] if place < width else None

    wavelengths, fwhm, good = (column(kind) for kind in ("wavelength", "fwhm", "good"))
    assert wavelengths is not None
    return BandTable(
        wavelengths=[_length(cell, name, number) for number, cell in wavelengths],
        fwhm=None if fwhm is None else [_length(cell, name, number) for number, cell in fwhm],
        good_bands=None if good is None else [_flag(cell, name, number) for number, cell in good],
        unit=unit,
    )


def rows_of(content: bytes, name: str) -> list[tuple[int, list[str]]]:
    """The number and the cells of each line that has any; InvalidInput where none has."""
    if len(content) > MAX_BYTES:
        raise InvalidInput(f"{name} has {len(content)} bytes; a list of bands has {MAX_BYTES}.")
    rows = [
        (number, _cells(line))
        for number, line in enumerate(_decode(content).splitlines(), start=1)
        if line.partition("#")[0].strip()
    ]
    if not rows:
        raise InvalidInput(f"{name} has no line with a wavelength.")
    return rows


def is_number(text: str) -> bool:
    """Whether a cell holds a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _decode(content: bytes) -> str:
    if content[:2] in {b"\xff\xfe", b"\xfe\xff"}:  # as spreadsheets save "Unicode text"
        return content.decode("utf-16", errors="replace")
    return decoded(content)


def _cells(line: str) -> list[str]:
    line = line.partition("#")[0].strip()
    if ";" in line:
        cells = [cell.replace(",", ".") for cell in line.split(";")]
    elif "," in line:
        cells = line.split(",")
    elif "\t" in line:
        cells = line.split("\t")
    else:
        cells = line.split()
    if len(cells) > 1 and not cells[-1].strip():
        cells.pop()  # a separator at the end of the line
    return [cell.strip().strip('"') for cell in cells]


def _named_columns(cells: list[str], name: str) -> tuple[dict[str, int], str | None]:
    places: dict[str, int] = {}
    unit = None
    for place, cell in enumerate(cells):
        words = [word for word in re.split(r"[^0-9a-zµμ]+", cell.lower()) if word]
        for kind, names in COLUMNS.items():
            if names.intersection(words) and kind not in places:
                places[kind] = place
                if kind == "wavelength":
                    units = {unit_name(word) for word in words} & {"nm", "um"}
                    unit = str(units.pop()) if len(units) == 1 else None
                break
    if "wavelength" not in places:
        raise InvalidInput(
            f"{name}, first line: no column called `wavelength` among {', '.join(cells)[:80]}."
        )
    return places, unit


def _length(text: str, name: str, line: int) -> float:
    value = float(text) if is_number(text) else math.nan
    if not (math.isfinite(value) and value > 0):
        raise InvalidInput(f"{name}, line {line}: {text[:40]!r}; a number more than 0 is right.")
    return value


def _flag(text: str, name: str, line: int) -> bool:
    word = text.lower()
    if word not in TRUE | FALSE:
        raise InvalidInput(f"{name}, line {line}: {text[:40]!r}; 1 (good) or 0 is right.")
    return word in TRUE

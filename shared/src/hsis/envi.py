"""The text of ENVI headers: `key = value` lines and `key = { ... }` lists."""

import re
import unicodedata
from collections.abc import Iterator

from hsis.errors import InvalidInput
from hsis.texts import decoded

MAGIC = "ENVI"
NANOMETRES = {
    "nm": 1.0, "nanometer": 1.0, "nanometers": 1.0, "nanometre": 1.0, "nanometres": 1.0,
    "um": 1e3, "μm": 1e3, "micron": 1e3, "microns": 1e3, "micrometer": 1e3,
    "micrometers": 1e3, "micrometre": 1e3, "micrometres": 1e3,
    "mm": 1e6, "millimeter": 1e6, "millimeters": 1e6, "millimetre": 1e6, "millimetres": 1e6,
    "cm": 1e7, "centimeters": 1e7, "m": 1e9, "meters": 1e9, "metres": 1e9,
    "angstrom": 0.1, "angstroms": 0.1, "ångström": 0.1, "ångströms": 0.1, "ångstrom": 0.1,
    "ångstroms": 0.1, "angström": 0.1, "angströms": 0.1, "å": 0.1,
}  # fmt: skip
"""Nanometres in one of a unit, by its name as `length_nm` looks it up."""
NO_LENGTHS = frozenset({"wavenumber", "ghz", "mhz", "index"})
"""ENVI's other units of the `wavelength` list."""


def decode(content: bytes) -> str:
    """The header's text (see `hsis.texts.decoded`). NUL, with which some fill fields up and which
    no store holds, is a space."""
    return decoded(content.replace(b"\0", b" "))


def parse_fields(text: str, name: str) -> dict[str, str]:
    """Every key in lower case with single spaces, and its text; a list without its braces.

    Lines that begin with `;` are comments. A key given twice keeps its last value. `name` is the
    file's, for messages. InvalidInput where the text does not begin with ENVI or a brace stays
    open.
    """
    # Not by splitlines: what a Latin-1 text has as U+0085, or a form feed, ends no line.
    lines = [*_joined(re.split(r"\r\n|\r|\n", text))]
    if not lines or lines[0].strip() != MAGIC:
        raise InvalidInput(f"{name} does not begin with a line `ENVI`.")
    fields: dict[str, str] = {}
    place, balanced = 1, True
    while place < len(lines):
        line = lines[place]
        place += 1
        if line.lstrip().startswith(";") or "=" not in line:
            continue
        key, _, value = line.partition("=")
        value = value.strip()
        if value.startswith("{"):
            end, balanced = _closing_line(value, lines, place, balanced)
            if end is None:
                raise InvalidInput(f"{name}: the brace after `{key.strip()} =` stays open.")
            more = [text for text in lines[place:end] if not text.lstrip().startswith(";")]
            value = "\n".join([value, *more])[1:].rpartition("}")[0].strip()
            place = end
        fields[" ".join(key.lower().split())] = value
    return fields


def _closing_line(
    value: str, lines: list[str], place: int, balanced: bool
) -> tuple[int | None, bool]:
    """One more than the line that closes the first brace of a value, which goes on at `place`;
    None where none does.

    Texts may hold braces of their own: where the header's are `balanced`, it is the line where all
    are closed, else the first with a closing one. The answer's second part is what holds of the
    lists behind: looking to the end of the file for each of them could take hours.
    """
    depth, first, number, line = 0, None, place, value
    while True:
        if number == place or not line.lstrip().startswith(";"):
            depth += line.count("{") - line.count("}")
            if first is None and "}" in line:
                first = number
            if depth <= 0 or (first is not None and not balanced):
                return number, balanced
        if number == len(lines):
            return first, False
        line, number = lines[number], number + 1


def listed(value: str) -> list[str]:
    """The entries of a list, without blanks around them."""
    return [entry.strip() for entry in value.split(",")] if value.strip() else []


def nanometres(unit: str, wavelengths: tuple[float, ...] | None) -> float | None:
    """Nanometres in one of the header's `wavelength units`; None where it counts no lengths."""
    unit = unit.strip().lower()
    if unit in NO_LENGTHS:
        return None
    return length_nm(unit) or guessed_unit(wavelengths)


def length_nm(unit: str) -> float | None:
    """Nanometres in one of a unit of lengths, by its name or its sign, with the micro sign or the
    letter mu, the sign of the angstrom or the letter; None where it is unknown."""
    return NANOMETRES.get(unicodedata.normalize("NFKC", unit).strip().lower())


def guessed_unit(wavelengths: tuple[float, ...] | None) -> float | None:
    """1000 for numbers that can only be micrometres, 1 for nanometres: no sensor of light has a
    band below 100 nm, or one above 100 µm."""
    if not wavelengths:
        return None
    return 1e3 if max(wavelengths) < 100 else 1.0


def _joined(lines: list[str]) -> Iterator[str]:
    """The lines, those that end in `=` with the one behind them if a brace opens there."""
    waiting = ""
    for line in lines:
        if waiting and not line.lstrip().startswith("{"):
            yield waiting
            waiting = ""
        if line.rstrip().endswith("=") and not line.lstrip().startswith(";"):
            waiting = line
        else:
            yield waiting + line
            waiting = ""
    if waiting:
        yield waiting

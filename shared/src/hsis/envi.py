"""The text of ENVI headers: `key = value` lines and `key = { ... }` lists."""

from collections.abc import Iterator

from hsis.errors import InvalidInput

MAGIC = "ENVI"
NANOMETRES = {
    "nm": 1.0, "nanometer": 1.0, "nanometers": 1.0, "nanometre": 1.0, "nanometres": 1.0,
    "um": 1e3, "µm": 1e3, "μm": 1e3, "micron": 1e3, "microns": 1e3, "micrometer": 1e3,
    "micrometers": 1e3, "micrometre": 1e3, "micrometres": 1e3,
    "mm": 1e6, "millimeter": 1e6, "millimeters": 1e6, "millimetre": 1e6, "millimetres": 1e6,
    "cm": 1e7, "centimeters": 1e7, "m": 1e9, "meters": 1e9, "metres": 1e9,
    "angstrom": 0.1, "angstroms": 0.1, "å": 0.1,
}  # fmt: skip
"""Nanometres in one of a unit, by its name in lower case."""
NO_LENGTHS = frozenset({"wavenumber", "ghz", "mhz", "index"})
"""ENVI's other units of the `wavelength` list."""


def decode(content: bytes) -> str:
    """The header's text: UTF-8, else Latin-1, which older programs write."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def parse_fields(text: str, name: str) -> dict[str, str]:
    """Every key in lower case with single spaces, and its text; a list without its braces.

    Lines that begin with `;` are comments. A key given twice keeps its last value. `name` is the
    file's, for messages. InvalidInput where the text does not begin with ENVI or a brace stays
    open.
    """
    lines = iter(_joined(text.splitlines()))
    if next(lines, "").strip() != MAGIC:
        raise InvalidInput(f"{name} does not begin with a line `ENVI`.")
    fields: dict[str, str] = {}
    for line in lines:
        if line.lstrip().startswith(";") or "=" not in line:
            continue
        key, _, value = line.partition("=")
        value = value.strip()
        if value.startswith("{"):
            parts = [value]
            while "}" not in parts[-1]:
                following = next(lines, None)
                if following is None:
                    raise InvalidInput(f"{name}: the brace after `{key.strip()} =` stays open.")
                if not following.lstrip().startswith(";"):
                    parts.append(following)
            value = "\n".join(parts)[1:].rpartition("}")[0].strip()
        fields[" ".join(key.lower().split())] = value
    return fields


def listed(value: str) -> list[str]:
    """The entries of a list, without blanks around them."""
    return [entry.strip() for entry in value.split(",")] if value.strip() else []


def nanometres(unit: str, wavelengths: tuple[float, ...] | None) -> float | None:
    """Nanometres in one of the header's `wavelength units`; None where it counts no lengths."""
    unit = unit.strip().lower()
    if unit in NO_LENGTHS:
        return None
    return NANOMETRES.get(unit) or guessed_unit(wavelengths)


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

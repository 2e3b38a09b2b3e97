"""The text header of an ENVI file: `key = value` lines and `key = { ... }` lists."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hsis_ingest.errors import HeaderMismatch, UnsupportedFormat

MAX_HEADER_BYTES = 32 * 1024 * 1024
MAGIC = "ENVI"
DATA_TYPES = {
    1: "u1", 2: "i2", 3: "i4", 4: "f4", 5: "f8", 6: "c8", 9: "c16",
    12: "u2", 13: "u4", 14: "i8", 15: "u8",
}  # fmt: skip
AXES = {"bsq": "byx", "bil": "ybx", "bip": "yxb"}
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


@dataclass(frozen=True, slots=True)
class EnviHeader:
    """What a header says. `dtype` has the file's byte order; lists have one entry a band.

    `fields` holds every key in lower case, with its text as written, lists without braces.
    """

    samples: int
    lines: int
    bands: int
    dtype: np.dtype[Any]
    axes: str
    offset: int
    fields: dict[str, str] = field(default_factory=dict)
    wavelengths_nm: tuple[float, ...] | None = None
    fwhm_nm: tuple[float, ...] | None = None
    good_bands: tuple[bool, ...] | None = None
    band_names: tuple[str, ...] | None = None
    nodata: float | None = None
    scale: float = 1.0
    value_offset: float = 0.0


def parse_header(content: bytes, name: str) -> EnviHeader:
    """The header in `content`; `name` is its file's, for messages.

    HeaderMismatch where a needed key is missing or says what cannot be.
    """
    fields = parse_fields(decode(content), name)
    samples, lines, bands = (
        _integer(fields, key, name, least=1) for key in ("samples", "lines", "bands")
    )
    code = _integer(fields, "data type", name, least=0)
    if code not in DATA_TYPES:
        known = ", ".join(map(str, DATA_TYPES))
        raise UnsupportedFormat(f"{name}: data type = {code} is not one of ENVI's: {known}.")
    order = _integer(fields, "byte order", name, least=0, default=0)
    if order not in {0, 1}:
        raise HeaderMismatch(
            f"{name}: byte order = {order}; 0 (little) or 1 (big endian) is right."
        )
    interleave = fields.get("interleave", "bsq").strip().lower()
    if interleave not in AXES:
        raise HeaderMismatch(f"{name}: interleave = {interleave}; bsq, bil or bip is right.")
    _check_readable(fields, name)
    wavelengths = _numbers(fields, "wavelength", bands, name)
    factor = _nanometres(fields, wavelengths)
    fwhm = _numbers(fields, "fwhm", bands, name)
    flags = _numbers(fields, "bbl", bands, name)
    scale, value_offset = _scale(fields, bands, name)
    return EnviHeader(
        samples=samples,
        lines=lines,
        bands=bands,
        dtype=np.dtype("<>"[order] + DATA_TYPES[code]),
        axes=AXES[interleave],
        offset=_integer(fields, "header offset", name, least=0, default=0),
        fields=fields,
        wavelengths_nm=_scaled(wavelengths, factor),
        fwhm_nm=_scaled(fwhm, factor),
        good_bands=None if flags is None else tuple(flag != 0 for flag in flags),
        band_names=_band_names(fields, bands),
        nodata=_number(fields, "data ignore value", name),
        scale=scale,
        value_offset=value_offset,
    )


def decode(content: bytes) -> str:
    """The header's text: UTF-8, else Latin-1, which older programs write."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def parse_fields(text: str, name: str) -> dict[str, str]:
    """Every key in lower case with single spaces, and its text; a list without its braces.

    Lines that begin with `;` are comments. A key given twice keeps its last value.
    HeaderMismatch where the text does not begin with ENVI or a brace stays open.
    """
    lines = iter(_joined(text.splitlines()))
    if next(lines, "").strip() != MAGIC:
        raise HeaderMismatch(f"{name} does not begin with a line `ENVI`.")
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
                    raise HeaderMismatch(f"{name}: the brace after `{key.strip()} =` stays open.")
                if not following.lstrip().startswith(";"):
                    parts.append(following)
            value = "\n".join(parts)[1:].rpartition("}")[0].strip()
        fields[" ".join(key.lower().split())] = value
    return fields


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


def listed(value: str) -> list[str]:
    """The entries of a list, without blanks around them."""
    return [entry.strip() for entry in value.split(",")] if value.strip() else []


def _integer(
    fields: dict[str, str], key: str, name: str, *, least: int, default: int | None = None
) -> int:
    value = fields.get(key)
    if value is None:
        if default is None:
            raise HeaderMismatch(f"{name} says no `{key}`; it must.")
        return default
    if not re.fullmatch(r"[+-]?\d{1,18}", value) or int(value) < least:
        raise HeaderMismatch(f"{name}: {key} = {value[:40]}; an integer from {least} is right.")
    return int(value)


def _number(fields: dict[str, str], key: str, name: str) -> float | None:
    value = fields.get(key)
    if not value:
        return None
    try:
        return float(value)
    except ValueError:
        raise HeaderMismatch(f"{name}: {key} = {value[:40]}; a number is right.") from None


def _numbers(fields: dict[str, str], key: str, bands: int, name: str) -> tuple[float, ...] | None:
    entries = listed(fields.get(key, ""))
    if entries and not entries[-1]:
        entries.pop()  # a comma before the closing brace
    if not entries:
        return None
    if len(entries) != bands:
        raise HeaderMismatch(f"{name} has {len(entries)} values of `{key}` for {bands} bands.")
    try:
        values = tuple(map(float, entries))
    except ValueError:
        values = (math.nan,)
    if not all(map(math.isfinite, values)):
        raise HeaderMismatch(f"{name}: `{key}` holds something that is no number.")
    return values


def _nanometres(fields: dict[str, str], wavelengths: tuple[float, ...] | None) -> float | None:
    """Nanometres in one of the header's unit; None where it counts no lengths."""
    unit = fields.get("wavelength units", "").strip().lower()
    if unit in NO_LENGTHS:
        return None
    return NANOMETRES.get(unit) or guessed_unit(wavelengths)


def guessed_unit(wavelengths: tuple[float, ...] | None) -> float | None:
    """1000 for numbers that can only be micrometres, 1 for nanometres: no sensor of light has a
    band below 100 nm, or one above 100 µm."""
    if not wavelengths:
        return None
    return 1e3 if max(wavelengths) < 100 else 1.0


def _scaled(values: tuple[float, ...] | None, factor: float | None) -> tuple[float, ...] | None:
    if values is None or factor is None:
        return None
    return tuple(value * factor for value in values)


def _band_names(fields: dict[str, str], bands: int) -> tuple[str, ...] | None:
    entries = [" ".join(entry.split()) for entry in listed(fields.get("band names", ""))]
    if len(entries) == bands + 1 and not entries[-1]:
        entries.pop()
    # Names may hold commas: such a list cannot be taken apart, and names alone refuse no cube.
    return tuple(entries) if len(entries) == bands else None


def _scale(fields: dict[str, str], bands: int, name: str) -> tuple[float, float]:
    """What a stored value is multiplied by, and what is added: `data gain values` and
    `data offset values`, else 1 / `reflectance scale factor`."""
    gain = _same(fields, "data gain values", bands, name)
    offset = _same(fields, "data offset values", bands, name)
    factor = _number(fields, "reflectance scale factor", name)
    if factor is not None and (factor == 0 or not math.isfinite(factor)):
        raise HeaderMismatch(f"{name}: reflectance scale factor = {factor}; it divides values.")
    if gain is not None or offset is not None:
        return (1.0 if gain is None else gain), offset or 0.0
    return (1.0 if factor is None else 1.0 / factor), 0.0


def _same(fields: dict[str, str], key: str, bands: int, name: str) -> float | None:
    """The one value that a list has for all bands."""
    values = _numbers(fields, key, bands, name)
    if values is None:
        return None
    if len(set(values)) > 1:
        raise UnsupportedFormat(
            f"{name} has bands of different `{key}`, {min(values):g} to {max(values):g}; one is "
            "right."
        )
    if values[0] == 0 and key == "data gain values":
        raise HeaderMismatch(f"{name}: `{key}` are 0; they multiply values.")
    return values[0]


def _check_readable(fields: dict[str, str], name: str) -> None:
    """UnsupportedFormat for compressed data, padding between frames and spectral libraries."""
    if _integer(fields, "file compression", name, least=0, default=0):
        raise UnsupportedFormat(f"{name}: file compression = 1; only uncompressed files are read.")
    for key in ("major frame offsets", "minor frame offsets"):
        if any(entry.strip("+-0. ") for entry in listed(fields.get(key, ""))):
            raise UnsupportedFormat(f"{name}: {key} = {fields[key][:40]}; only 0, 0 is read.")
    if "spectral library" in fields.get("file type", "").lower():
        raise UnsupportedFormat(
            f"{name} describes a spectral library, not a cube; send its spectra to /spectra."
        )

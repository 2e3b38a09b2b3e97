"""The text header of an ENVI file: `key = value` lines and `key = { ... }` lists."""

import math
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hsis import envi
from hsis.cube.gains import Gain, gain_of
from hsis.envi import decode, listed, nanometres
from hsis.errors import InvalidInput
from hsis_ingest.errors import HeaderMismatch, UnsupportedFormat

MAX_HEADER_BYTES = 32 * 1024 * 1024
DATA_TYPES = {
    1: "u1", 2: "i2", 3: "i4", 4: "f4", 5: "f8", 6: "c8", 9: "c16",
    12: "u2", 13: "u4", 14: "i8", 15: "u8",
}  # fmt: skip
AXES = {"bsq": "byx", "bil": "ybx", "bip": "yxb"}


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
    scale: Gain = 1.0
    value_offset: Gain = 0.0


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
    factor = nanometres(fields.get("wavelength units", ""), wavelengths)
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


def parse_fields(text: str, name: str) -> dict[str, str]:
    """As `hsis.envi.parse_fields`; HeaderMismatch where the text is no header."""
    try:
        return envi.parse_fields(text, name)
    except InvalidInput as error:
        raise HeaderMismatch(error.detail) from None


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


def _scale(fields: dict[str, str], bands: int, name: str) -> tuple[Gain, Gain]:
    """What a stored value is multiplied by, and what is added: `data gain values` and
    `data offset values`, else 1 / `reflectance scale factor`."""
    gain = _numbers(fields, "data gain values", bands, name)
    offset = _numbers(fields, "data offset values", bands, name)
    factor = _number(fields, "reflectance scale factor", name)
    if factor is not None and (factor == 0 or not math.isfinite(factor)):
        raise HeaderMismatch(f"{name}: reflectance scale factor = {factor}; it divides values.")
    if gain is not None and 0 in gain:
        raise HeaderMismatch(
            f"{name}: `data gain values` is 0 for band {gain.index(0) + 1}; it multiplies values."
        )
    if gain is not None or offset is not None:
        return gain_of(gain or (1.0,)), gain_of(offset or (0.0,))
    return (1.0 if factor is None else 1.0 / factor), 0.0


def _check_readable(fields: dict[str, str], name: str) -> None:
    """UnsupportedFormat for compressed data, padding between frames and spectral libraries."""
    if _integer(fields, "file compression", name, least=0, default=0):
        raise UnsupportedFormat(f"{name}: file compression = 1; only uncompressed files are read.")
    for key in ("major frame offsets", "minor frame offsets"):
        if any(entry.strip("+-0. ") for entry in listed(fields.get(key, ""))):
            raise UnsupportedFormat(f"{name}: {key} = {fields[key][:40]}; only 0, 0 is read.")
    if "spectral library" in fields.get("file type", "").lower():
        raise UnsupportedFormat(
            f"{name} describes a spectral library, not a cube: `hsis spectra import` takes "
            "its spectra into the library of a collection (/spectra)."
        )

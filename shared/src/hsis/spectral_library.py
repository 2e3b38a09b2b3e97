"""ENVI spectral libraries (`.sli` and its header) as spectra for a collection's library."""

import math
import re
import struct
from collections.abc import Sequence
from pathlib import Path

from hsis.contracts.spectra import NewSpectrum
from hsis.envi import decode, listed, nanometres, parse_fields
from hsis.errors import InvalidInput

FORMATS = {1: "B", 2: "h", 3: "i", 4: "f", 5: "d", 12: "H", 13: "I", 14: "q", 15: "Q"}
"""Of `struct`, by ENVI's data type."""
DELETED = -1e30
"""Values below are deleted channels: USGS's libraries have -1.23e34 in them."""


def read_library(
    file: Path, collection: str, *, unit: str | None = None, source: str | None = None
) -> list[NewSpectrum]:
    """The spectra of a library, given by its data file or its header; the other lies beside it.

    Bands are put in the order of wavelengths, in nm. A spectrum lacks the bands that it has no
    value for. `unit` is 1 where the header's plot title says reflectance; `source` is the file and
    the header's description. InvalidInput for a file that is no library or contradicts its header.
    """
    header_file, data_file = _pair(file)
    name = header_file.name
    fields = parse_fields(decode(header_file.read_bytes()), name)
    if "spectral library" not in fields.get("file type", "").lower():
        raise InvalidInput(
            f"{name} describes no spectral library: `file type = ENVI Spectral Library` is right."
        )
    count, bands = (_integer(fields, key, name) for key in ("lines", "samples"))
    wavelengths = _wavelengths(fields, bands, name)
    rows = _values(fields, data_file, count, bands, name)
    names = _names(fields, count, name)
    missing = _numbers(fields, "data ignore value", 1, name)
    ignored = missing[0] if missing else math.nan
    factor = (_numbers(fields, "reflectance scale factor", 1, name) or (1.0,))[0]
    if factor == 0:
        raise InvalidInput(f"{name}: reflectance scale factor = 0; it divides values.")
    said = fields.get("z plot titles", "").lower() + fields.get("y plot titles", "").lower()
    described = " ".join(fields.get("description", "").split())
    spectra = []
    for spectrum_name, row in zip(names, rows, strict=True):
        kept = [
            place
            for place, value in enumerate(row)
            if math.isfinite(value) and value > DELETED and value != ignored
        ]
        if not kept or (wavelengths is None and len(kept) != bands):
            raise InvalidInput(
                f"{data_file.name}: {spectrum_name!r} lacks {bands - len(kept)} of {bands} values; "
                "one of which some are there needs wavelengths in the header."
            )
        if wavelengths is not None:
            kept.sort(key=wavelengths.__getitem__)
        spectra.append(
            NewSpectrum(
                collection=collection,
                name=spectrum_name,
                values=[row[place] / factor for place in kept],
                wavelengths_nm=None if wavelengths is None else [wavelengths[at] for at in kept],
                unit=unit or ("1" if "reflectance" in said else None),
                source=source or f"{data_file.name}: {described}".removesuffix(": ")[:2000],
            )
        )
    return spectra


def _pair(file: Path) -> tuple[Path, Path]:
    """Header and data file: `a.hdr` or `a.sli.hdr` beside `a.sli`."""
    beside = {path.name.lower(): path for path in sorted(file.absolute().parent.iterdir())}
    name = file.name.lower()
    if name.endswith(".hdr"):
        stem = name.removesuffix(".hdr")
        wanted = [stem, stem + ".sli"]
    else:
        wanted = [name + ".hdr", name.rpartition(".")[0] + ".hdr"]
    found = next((beside[other] for other in wanted if other in beside), None)
    if found is None:
        raise InvalidInput(f"{file.name}: {' or '.join(wanted)} is not beside it.")
    return (file, found) if name.endswith(".hdr") else (found, file)


def _values(
    fields: dict[str, str], data: Path, count: int, bands: int, name: str
) -> Sequence[tuple[float, ...]]:
    code = _integer(fields, "data type", name)
    if code not in FORMATS:
        raise InvalidInput(f"{name}: data type = {code}; one of {', '.join(map(str, FORMATS))} is.")
    if fields.get("bands", "1") != "1":
        raise InvalidInput(f"{name}: bands = {fields['bands']}; a library has 1.")
    big = fields.get("byte order", "0") == "1"
    row = struct.Struct(f"{'>' if big else '<'}{bands}{FORMATS[code]}")
    offset = _integer(fields, "header offset", name, default=0, least=0)
    content = data.read_bytes()
    if len(content) != offset + count * row.size:
        raise InvalidInput(
            f"{data.name} has {len(content)} bytes; {name} says {offset + count * row.size} "
            f"({count} spectra x {bands} bands)."
        )
    return list(row.iter_unpack(content[offset:]))


def _names(fields: dict[str, str], count: int, name: str) -> list[str]:
    """One a spectrum, no two alike."""
    given = [" ".join(entry.split()) for entry in listed(fields.get("spectra names", ""))]
    if not given:
        given = [f"{name.rsplit('.', 1)[0]} {number}" for number in range(1, count + 1)]
    if len(given) != count or not all(given):
        raise InvalidInput(
            f"{name} has {len(given)} `spectra names` for {count} spectra; one each is right "
            "(a name cannot hold a comma)."
        )
    made: list[str] = []
    for entry in given:
        unlike = short = re.sub(r"[\x00-\x1f]", " ", entry)[:190]
        number = 1
        while unlike in made:
            number += 1
            unlike = f"{short} ({number})"
        made.append(unlike)
    return made


def _wavelengths(fields: dict[str, str], bands: int, name: str) -> tuple[float, ...] | None:
    """In nanometres; None where the header has none, or in a unit that is no length."""
    values = _numbers(fields, "wavelength", bands, name)
    factor = nanometres(fields.get("wavelength units", ""), values)
    if values is None or factor is None:
        return None
    if len(set(values)) != bands:
        raise InvalidInput(f"{name} has two bands of the same wavelength.")
    return tuple(value * factor for value in values)


def _numbers(fields: dict[str, str], key: str, count: int, name: str) -> tuple[float, ...] | None:
    entries = [entry for entry in listed(fields.get(key, "")) if entry]
    if not entries:
        return None
    try:
        values = tuple(map(float, entries))
    except ValueError:
        raise InvalidInput(f"{name}: `{key}` holds something that is no number.") from None
    if len(values) != count:
        raise InvalidInput(f"{name} has {len(values)} values of `{key}`; {count} are right.")
    return values


def _integer(
    fields: dict[str, str], key: str, name: str, *, default: int | None = None, least: int = 1
) -> int:
    text = fields.get(key, "" if default is None else str(default))
    if not re.fullmatch(r"\d{1,9}", text) or int(text) < least:
        raise InvalidInput(f"{name}: {key} = {text[:40]}; an integer from {least} is right.")
    return int(text)

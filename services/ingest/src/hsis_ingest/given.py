"""What an uploader, a file and a collection's template say of a cube, made one."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from hsis.contracts.metadata import CubeMetadata
from hsis.contracts.places import geometry_of
from hsis.contracts.uploads import Calibration, UploadRequest
from hsis.cube.acquisition import Acquisition
from hsis.cube.band_table import parse_band_table
from hsis.cube.gains import gain_of
from hsis.cube.layout import MAX_SHAPE, CubeInfo
from hsis.cube.stac import Footprint
from hsis.cube.statistics import nodata_in
from hsis.errors import InvalidInput
from hsis_ingest.errors import CubeTooLarge, HeaderMismatch, MetadataMismatch
from hsis_ingest.formats.source import NO_PROPERTIES

SOURCES_PROPERTY = "hsi:metadata_from"
PER_BAND = {
    "wavelengths": "wavelengths_nm",
    "fwhm": "fwhm_nm",
    "good_bands": "good_bands",
    "band_names": "band_names",
}
"""The lists of CubeMetadata, and what CubeInfo calls them."""
GAINS = ("scale", "offset")
"""Fields that are one number, or a list of one a band."""
OF_INFO = (*PER_BAND, "unit", *GAINS, "nodata")
OF_ACQUISITION = ("sensor", "platform", "datetime", "license", "place", "properties")
FIELDS = (*OF_INFO, *OF_ACQUISITION)


@dataclass(frozen=True, slots=True)
class Described:
    """A cube's description, what else is known of it, and of which fields it is not the file that
    says them: `upload` or `template`, by field."""

    info: CubeInfo
    acquisition: Acquisition
    sources: Mapping[str, str]


def describe(
    info: CubeInfo,
    acquired_at: datetime | None,
    given: CubeMetadata,
    template: CubeMetadata,
    *,
    located: bool,
    properties: Mapping[str, Any] = NO_PROPERTIES,
) -> Described:
    """The description of a cube that a file describes as `info`.

    What the uploader says goes before what the file says; the template counts where neither says
    anything. `located` is whether the file says where the cube lies, and `properties` are those
    that it gives the item. MetadataMismatch where what is given does not fit the cube,
    HeaderMismatch for wavelengths of the file that cannot be, CubeTooLarge for a cube that would
    be refused when it is read.
    """
    _require_size(info)
    of_file = _said_by_file(info, acquired_at, located, properties)
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for source, said in (("template", template), ("upload", given)):
        for name in FIELDS:
            value = getattr(said, name)
            if value is None or (source == "template" and name in of_file):
                continue
            check(info, name, value, f"`{name}` of the {_told(source)}")
            values[name] = _merged(values.get(name), in_store(said, name, info))
            sources[name] = source
    known = Acquisition(
        acquired_at=values.get("datetime", acquired_at),
        sensor=values.get("sensor", ", ".join(properties.get("instruments", ())) or None),
        platform=values.get("platform", properties.get("platform")),
        license=values.get("license"),
        properties=values.get("properties", {}),
    )
    if "place" in values:
        geometry, bbox = geometry_of(values["place"])
        known = dataclasses.replace(known, geometry=geometry, bbox=bbox)
    changes = {PER_BAND.get(name, name): values[name] for name in OF_INFO if name in values}
    described = dataclasses.replace(info, **changes)
    _require_wavelengths(described)
    _require_gains(described)
    _require_place(described)
    return Described(described, known, sources)


def _require_size(info: CubeInfo) -> None:
    for size, most, what in zip(info.shape, MAX_SHAPE, ("bands", "rows", "columns"), strict=True):
        if size > most:
            raise CubeTooLarge(
                f"The cube has {size} {what}; at most {most} are right. Where the axes lie "
                "otherwise in the file, `axes` of the upload says how."
            )


def _require_wavelengths(info: CubeInfo) -> None:
    for number, wavelength in enumerate(info.wavelengths_nm or (), start=1):
        if not 0 <= wavelength < math.inf:
            right = "none is below 0" if wavelength < 0 else "a finite number is right"
            raise HeaderMismatch(
                f"The wavelength of band {number} is {wavelength:g} nm; {right}. The right "
                "ones can be given with the upload (`wavelengths`)."
            )
    for number, width in enumerate(info.fwhm_nm or (), start=1):
        if not math.isfinite(width):
            raise HeaderMismatch(
                f"The width of band {number} is {width:g} nm; a finite number is right, and can be "
                "given with the upload (`fwhm`)."
            )


def _require_gains(info: CubeInfo) -> None:
    for name, values in (("scale", info.scales), ("offset", info.offsets)):
        for number, value in enumerate(values, start=1):
            if not math.isfinite(value):
                raise HeaderMismatch(
                    f"The {name} of band {number} is {value}; a finite number is right, and can be "
                    f"given with the upload (`{name}`)."
                )


def _require_place(info: CubeInfo) -> None:
    if info.transform is None:
        return
    a, b, c, d, e, f = info.transform
    _, rows, columns = info.shape
    corners = [(x, y) for x in (0, columns) for y in (0, rows)]
    edges = [value for x, y in corners for value in (a * x + b * y + c, d * x + e * y + f)]
    if not all(map(math.isfinite, (*info.transform, *edges))):
        numbers = ", ".join(f"{number:g}" for number in info.transform)
        raise HeaderMismatch(
            f"The file's transform ({numbers}) places corners of the cube where no number reaches; "
            "finite coordinates are right, or none."
        )


def check(info: CubeInfo, name: str, value: Any, what: str) -> None:
    """MetadataMismatch where a field of CubeMetadata, `what` in the message, does not fit."""
    if isinstance(value, list) and name in OF_INFO and len(value) != info.bands:
        raise MetadataMismatch(
            f"{what} has {len(value)} values; the cube has {info.bands} bands, and one each is "
            "right."
        )
    if name == "band_names" and len(set(value)) != len(value):
        raise MetadataMismatch(f"{what} has a name twice; names of their own are right.")
    if name == "nodata" and nodata_in(info.dtype, value) is None:
        raise MetadataMismatch(
            f"{what} is {value:g}, which no value of the type {info.dtype.name} is; "
            f"{_range(info.dtype)} is right."
        )
    if name == "place" and gridded(info):
        raise MetadataMismatch(
            f"{what}: the cube lies on a grid of its own on the earth; leave `place` out."
        )


def in_store(said: CubeMetadata, name: str, info: CubeInfo) -> Any:
    """A field's value as a cube stores it: lengths in nm, lists as tuples, nodata of its type, one
    scale where all bands have the same."""
    if name in {"wavelengths", "fwhm"}:
        return getattr(said, PER_BAND[name])
    value = getattr(said, name)
    if name == "nodata" and info.dtype.kind == "f":
        return float(info.dtype.type(value))
    if name in GAINS:
        return gain_of(value if isinstance(value, list) else [value])
    return tuple(value) if name in PER_BAND else value


def check_said(said: CubeMetadata | None) -> None:
    """InvalidInput where an uploader says a thing twice."""
    if said is not None and said.wavelengths and said.wavelengths_file:
        raise InvalidInput("metadata: `wavelengths` or `wavelengths_file`; one of them is right.")


def check_table(request: UploadRequest) -> None:
    """InvalidInput where the list of bands is not among the announced files, or is alone."""
    table = request.metadata and request.metadata.wavelengths_file
    names = [file.name for file in request.files]
    if table and (table not in names or len(names) == 1):
        raise InvalidInput(
            f"metadata.wavelengths_file is {table!r}; a file of this upload beside the cube's is "
            f"right: it has {', '.join(names)}."
        )


def check_panel(panel: float | str | None, calibration: Calibration, names: Sequence[str]) -> None:
    """InvalidInput where what the white panel reflects is of no use, or in none of the upload's
    files, which are called `names`."""
    if panel is not None and calibration is not Calibration.REFLECTANCE:
        raise InvalidInput("`white_reflectance` is of `calibration` = `reflectance`; say both.")
    if isinstance(panel, str) and panel not in names:
        raise InvalidInput(
            f"white_reflectance is {panel!r}; a number such as 0.99, or a file of this upload, is "
            f"right: it has {', '.join(names)}."
        )


def with_earlier_table(said: CubeMetadata, before: CubeMetadata | None) -> CubeMetadata:
    """What is said at another try: a list of bands among the files stays one, and no file of the
    cube. Wavelengths that are given outright now count in its place."""
    if said.wavelengths_file is not None or before is None or before.wavelengths_file is None:
        return said
    return said.model_copy(update={"wavelengths_file": before.wavelengths_file})


def footprint_of(known: Acquisition) -> Footprint | None:
    """Where a user says that the cube lies."""
    if known.geometry is None or known.bbox is None:
        return None
    return Footprint(dict(known.geometry), known.bbox)


def gridded(info: CubeInfo) -> bool:
    """Whether the cube has a grid on the earth."""
    return info.crs_wkt is not None and info.transform is not None


def with_table(given: CubeMetadata, content: bytes, name: str) -> CubeMetadata:
    """What an uploader says together with the list of bands in the file that it names; what is
    said outright wins. MetadataMismatch where the file is no such list."""
    try:
        table = parse_band_table(content, name)
    except InvalidInput as error:
        raise MetadataMismatch(error.detail) from None
    return given.model_copy(
        update={
            "wavelengths": table.wavelengths,
            "wavelength_unit": given.wavelength_unit or table.unit,
            "fwhm": given.fwhm or table.fwhm,
            "good_bands": given.good_bands or table.good_bands,
            "wavelengths_file": None,
        }
    )


def _said_by_file(
    info: CubeInfo, acquired_at: datetime | None, located: bool, properties: Mapping[str, Any]
) -> set[str]:
    found = {name for name, own in PER_BAND.items() if getattr(info, own) is not None}
    if info.is_scaled:
        found |= set(GAINS)
    for name, said in (
        ("unit", info.unit is not None),
        ("nodata", info.nodata is not None),
        ("datetime", acquired_at is not None),
        ("place", located),
        ("sensor", "instruments" in properties),
        ("platform", "platform" in properties),
    ):
        if said:
            found.add(name)
    return found


def _merged(before: Any, value: Any) -> Any:
    """Free properties of a template and an upload go together."""
    return before | value if isinstance(before, dict) and isinstance(value, dict) else value


def _told(source: str) -> str:
    return "collection's template" if source == "template" else "upload's metadata"


def _range(dtype: np.dtype[Any]) -> str:
    if dtype.kind in "fc":
        return f"at most {np.finfo(dtype).max:g}"
    return f"an integer from {np.iinfo(dtype).min} to {np.iinfo(dtype).max}"

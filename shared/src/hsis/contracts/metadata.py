"""What a user says of a cube: given with an upload, corrected later, or a collection's template."""

import math
import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    PlainSerializer,
)

from hsis.contracts.places import Place

MAX_BANDS = 2**16
MAX_PROPERTIES = 64
MAX_PROPERTIES_TEXT = 16_384
PROPERTY_NAME = r"[A-Za-z][A-Za-z0-9_.:-]{0,63}"
RESERVED_NAMES = frozenset(
    [
        "datetime",
        "start_datetime",
        "end_datetime",
        "created",
        "updated",
        "license",
        "instruments",
        "platform",
        "providers",
        "bands",
        "statistics",
        "data_type",
        "nodata",
        "unit",
    ]
)
"""Of an Item's properties: HSIS sets them, or a field of their own does."""
RESERVED_PREFIXES = frozenset(
    [
        "hsi",
        "proj",
        "cube",
        "eo",
        "raster",
        "file",
        "processing",
        "classification",
        "mlm",
        "auth",
        "storage",
    ]
)
TYPED_PROPERTIES: dict[str, type | tuple[type, ...]] = {
    "title": str,
    "description": str,
    "constellation": str,
    "mission": str,
    "keywords": list,
    "gsd": (int, float),
}
"""What STAC says of the common ones among free properties."""
NANOMETRES = {"nm": 1.0, "um": 1000.0}
MICROMETRE_NAMES = frozenset({"um", "µm", "μm", "micrometers", "micrometres", "microns"})
NANOMETRE_NAMES = frozenset({"nm", "nanometers", "nanometres"})
LARGEST_MICROMETRES = 100.0
"""No sensor of light has a band below 100 nm, or one above 100 µm."""


def unit_name(name: object) -> object:
    """`nm` or `um` for a unit's name as people write it; else the name."""
    if isinstance(name, str) and name.strip().lower() in NANOMETRE_NAMES:
        return "nm"
    if isinstance(name, str) and name.strip().lower() in MICROMETRE_NAMES:
        return "um"
    return name


def _time(given: object) -> object:
    if isinstance(given, datetime) or (
        isinstance(given, str) and re.match(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d", given)
    ):
        return given
    raise ValueError("a time with its zone such as 2024-06-01T10:30:00+02:00 is right")


def _utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("a year from 1 to 9999 is right") from None


def _plain(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ValueError("printable text is right")
    return text.strip()


def check_property(name: str, value: JsonValue) -> None:
    """ValueError where an Item's free property cannot be called so, or have that value."""
    if not re.fullmatch(PROPERTY_NAME, name):
        raise ValueError(
            f"{name!r:.80} is no name of a property: a letter, then up to 63 letters, digits "
            "and _ . : -"
        )
    if name in RESERVED_NAMES or name.partition(":")[0] in RESERVED_PREFIXES:
        raise ValueError(f"{name!r} is set by HSIS itself; take another name, such as my:{name}")
    kind = TYPED_PROPERTIES.get(name)
    if value is not None and kind is not None:
        if isinstance(value, bool) or not isinstance(value, kind):
            raise ValueError(f"{name} = {value!r:.60}: STAC wants another type for it")
        if isinstance(value, list) and not all(isinstance(entry, str) for entry in value):
            raise ValueError(f"{name}: a list of texts is right")
        if name == "gsd" and not value > 0:  # type: ignore[operator]
            raise ValueError(f"gsd = {value!r}: metres, more than 0, are right")
    for leaf in _leaves(value):
        if isinstance(leaf, str) and ("\x00" in leaf or not _encodable(leaf)):
            raise ValueError(f"{name} holds characters that cannot be stored")
        if isinstance(leaf, float) and not math.isfinite(leaf):
            raise ValueError(f"{name} holds a number that is not finite")


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _leaves(value: Any, depth: int = 0) -> list[Any]:
    if depth > 8:
        raise ValueError("a property is nested too deeply; 8 levels are right")
    if isinstance(value, dict):
        return [*value, *(leaf for inner in value.values() for leaf in _leaves(inner, depth + 1))]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in _leaves(inner, depth + 1)]
    return [value]


def _properties(given: dict[str, JsonValue]) -> dict[str, JsonValue]:
    if len(given) > MAX_PROPERTIES:
        raise ValueError(f"{len(given)} properties; at most {MAX_PROPERTIES} are right")
    for name, value in given.items():
        check_property(name, value)
    if len(repr(given)) > MAX_PROPERTIES_TEXT:
        raise ValueError(f"the properties have more than {MAX_PROPERTIES_TEXT} characters")
    return given


def _one_or_each(given: object) -> float | list[float]:
    right = "a finite number is right, or a list of one a band"
    if not isinstance(given, list | tuple):
        number = _as_number(given)
        if number is None:
            raise ValueError(f"{given!r:.60}; {right}")
        return number
    if not 0 < len(given) <= MAX_BANDS:
        raise ValueError(f"a list of {len(given)} numbers; {right}, at most {MAX_BANDS}")
    numbers: list[float] = []
    for band, entry in enumerate(given, start=1):
        number = _as_number(entry)
        if number is None:
            raise ValueError(f"{entry!r:.60} for band {band} of {len(given)}; {right}")
        numbers.append(number)
    return numbers


def _as_number(given: object) -> float | None:
    """A finite number, or a text that is one, as forms and tus send it."""
    if isinstance(given, bool) or not isinstance(given, int | float | str):
        return None
    try:
        number = float(given)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _not_zero(value: float | list[float]) -> float | list[float]:
    if 0 in (value if isinstance(value, list) else [value]):
        band = f" for band {value.index(0) + 1} of {len(value)}" if isinstance(value, list) else ""
        raise ValueError(f"0{band}; a scale is not 0: it multiplies values")
    return value


def _number(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)


Length = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Text = Annotated[str, Field(max_length=256), AfterValidator(_plain)]
PerBand = Field(default=None, min_length=1, max_length=MAX_BANDS)
OneOrEach = Annotated[
    float | Annotated[list[float], Field(min_length=1, max_length=MAX_BANDS)],
    BeforeValidator(_one_or_each),
]


class CubeMetadata(BaseModel):
    """Every field may be left out. Lists have one entry a band, in the order of the stored bands.

    Without `wavelength_unit`, wavelengths that are all below 100 are micrometres, others
    nanometres; widths (`fwhm`) alone are nanometres. `wavelengths_file` names a file of the same
    upload: a wavelength a line, or `wavelength, fwhm, good` (see `hsis.cube.band_table`).
    A physical value is `stored * scale + offset`, in `unit`, of one number for all bands or a list
    of one each; `nodata` is in stored units.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    wavelengths: list[Length] | None = PerBand
    wavelength_unit: Annotated[Literal["nm", "um"] | None, BeforeValidator(unit_name)] = None
    wavelengths_file: str | None = Field(default=None, min_length=1, max_length=255)
    fwhm: list[Length] | None = PerBand
    good_bands: list[bool] | None = PerBand
    band_names: list[Text] | None = PerBand
    unit: Text | None = None
    sensor: Text | None = Field(default=None, description="STAC's `instruments`")
    platform: Text | None = None
    scale: Annotated[OneOrEach, AfterValidator(_not_zero)] | None = Field(
        default=None, description="A number, or a list of one a band"
    )
    offset: OneOrEach | None = Field(default=None, description="As `scale`")
    nodata: Annotated[float, PlainSerializer(_number, when_used="json")] | None = None
    datetime: Annotated[AwareDatetime, BeforeValidator(_time), AfterValidator(_utc)] | None = Field(
        default=None, description="When it was measured, with its zone"
    )
    place: Place | None = Field(
        default=None,
        description="For a cube without a grid on the earth: [longitude, latitude], [west, south, "
        "east, north] or a GeoJSON Point, Polygon or MultiPolygon, in degrees",
    )
    license: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 .+()-]{0,127}$")] | None = Field(
        default=None, description="An SPDX identifier, or `other`"
    )
    properties: Annotated[dict[str, JsonValue], AfterValidator(_properties)] | None = Field(
        default=None, description="Further properties of the item"
    )

    @property
    def wavelengths_nm(self) -> tuple[float, ...] | None:
        """The wavelengths in nanometres."""
        return self._in_nm(self.wavelengths)

    @property
    def fwhm_nm(self) -> tuple[float, ...] | None:
        """The widths in nanometres."""
        return self._in_nm(self.fwhm)

    def _in_nm(self, values: list[float] | None) -> tuple[float, ...] | None:
        if values is None:
            return None
        unit = self.wavelength_unit
        if unit is None:
            small = self.wavelengths and max(self.wavelengths) < LARGEST_MICROMETRES
            unit = "um" if small else "nm"
        return tuple(value * NANOMETRES[unit] for value in values)

    def said(self) -> dict[str, Any]:
        """The fields that are there and not null, as JSON."""
        fields = self.model_dump(mode="json")
        return {name: value for name, value in fields.items() if value is not None}


class Correction(BaseModel):
    """One change of an item's metadata: who, when, and of each field what it was and became."""

    id: str
    by: str
    at: datetime
    applied: bool = Field(description="False while a part of the platform is away")
    before: dict[str, JsonValue]
    after: dict[str, JsonValue]


class ItemMetadata(BaseModel):
    """What is known of an item's cube, where each field is from, and how it was corrected."""

    metadata: dict[str, JsonValue] = Field(
        description="Fields of CubeMetadata as they are now, wavelengths and widths in nm"
    )
    sources: dict[str, str] = Field(
        description="By field: `upload`, `template` or `correction`; others are the file's own"
    )
    corrections: list[Correction] = Field(description="The newest first")

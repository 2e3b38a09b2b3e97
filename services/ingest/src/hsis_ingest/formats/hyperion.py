"""EO-1 Hyperion L1T and L1Gst: GeoTIFFs of one band each, or one of all, and `…_MTL_L1T.TXT`.

Layout: USGS, "EO-1 Hyperion README" (January 2013) and EO1-DFCB-0003, "Hyperion Level 1Gst Product
Output Files Data Format Control Book"; checked against the readers of ACOLITE, pygaarst and ARCSI.
Radiance in W m-2 sr-1 µm-1 is the value divided by SCALING_FACTOR_VNIR or SCALING_FACTOR_SWIR,
START_TIME is `YYYY DDD HH:MM:SS`, SENSOR_LOOK_ANGLE is from nadir, positive to the east, and
SUN_AZIMUTH from -180 to 180, or from 0 as others count it.
"""

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsis.cube.gains import gain_of
from hsis.cube.layout import CubeInfo
from hsis_ingest.errors import HeaderMismatch, MissingData, UnsupportedFormat
from hsis_ingest.formats.band_stack import BandStackSource
from hsis_ingest.formats.geotiff import GeoTiffSource
from hsis_ingest.formats.hyperion_bands import BANDS, CALIBRATED, FWHM_NM, VNIR, WAVELENGTHS_NM
from hsis_ingest.formats.source import ByteSource, ReadOptions
from hsis_ingest.formats.tiff_directories import tiff_directories

MAX_METADATA_BYTES = 1024 * 1024
BAND_OF_NAME = re.compile(r"_B(\d{3})(?!\d)", re.IGNORECASE)
UNIT = "W m-2 sr-1 um-1"
STORED_DTYPE = np.dtype(np.int16)
"""Of the product's images; values of another type were computed, and have no factor any more."""
BACKGROUND = 0.0
LEVEL = re.compile(r"[A-Za-z0-9]{1,16}")


class HyperionSource:
    """An opened Hyperion product. `said` are the fields of the metadata file `name`."""

    outline = None

    def __init__(
        self,
        name: str,
        said: Mapping[str, str],
        images: Sequence[ByteSource],
        options: ReadOptions,
    ) -> None:
        self._name, self._said = name, said
        level = said.get("PRODUCT_TYPE", "")  # any text may stand there
        self._level = level if LEVEL.fullmatch(level) else ""
        self.format_name = f"Hyperion {self._level}".strip()
        self.properties = self._properties()
        by_band = _by_band(name, said, images)
        self._image = _opened(name, by_band, images, options)
        try:
            self.axes = self._image.axes
            whole = not by_band and self._image.info.bands == BANDS
            self.info = self._info([*range(1, BANDS + 1)] if whole else [*by_band])
            self.acquired_at = self._start() or self._image.acquired_at
        except BaseException:
            self._image.close()
            raise

    def read(self, bands: slice, rows: slice, columns: slice) -> NDArray[Any]:
        """A window, shape (band, y, x)."""
        return self._image.read(bands, rows, columns)

    def close(self) -> None:
        """Close the images."""
        self._image.close()

    def _info(self, numbers: Sequence[int]) -> CubeInfo:
        """The images' description with that of the bands, where their `numbers` are known."""
        info = self._image.info
        info = dataclasses.replace(info, nodata=BACKGROUND if info.nodata is None else info.nodata)
        if not numbers:
            return info
        if info.wavelengths_nm is None:
            info = dataclasses.replace(
                info,
                wavelengths_nm=tuple(WAVELENGTHS_NM[number - 1] for number in numbers),
                fwhm_nm=tuple(FWHM_NM[number - 1] for number in numbers),
            )
        if info.good_bands is None:
            good = tuple(number in CALIBRATED for number in numbers)
            info = dataclasses.replace(info, good_bands=good)
        factors = [self._number(f"SCALING_FACTOR_{name}") for name in ("VNIR", "SWIR")]
        if None not in factors and not info.is_scaled and info.dtype == STORED_DTYPE:
            vnir, swir = (1 / factor for factor in factors if factor is not None)
            scales = [vnir if number in VNIR else swir for number in numbers]
            info = dataclasses.replace(info, scale=gain_of(scales), unit=UNIT)
        return dataclasses.replace(info, band_names=tuple(f"B{number:03d}" for number in numbers))

    def _properties(self) -> dict[str, Any]:
        found: dict[str, Any] = {"platform": "eo-1", "instruments": ["hyperion"]}
        if self._level:
            found["processing:level"] = self._level
        azimuth, elevation = self._number("SUN_AZIMUTH", 360), self._number("SUN_ELEVATION", 90)
        look = self._number("SENSOR_LOOK_ANGLE", 90)
        if azimuth is not None:
            found["view:sun_azimuth"] = azimuth % 360
        if elevation is not None:
            found["view:sun_elevation"] = elevation
        if look is not None:
            found |= {"view:off_nadir": abs(look), "hsi:look_angle": look}
        return found

    def _number(self, field: str, most: float | None = None) -> float | None:
        """A field's number: an angle of at most so many degrees, else one above 0; None where it
        is not said."""
        text = self._said.get(field)
        if not text:
            return None
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        fits = value > 0 and 1 / value < math.inf if most is None else abs(value) <= most
        if not (math.isfinite(value) and fits):
            right = "a number above 0" if most is None else f"a number from {-most} to {most}"
            raise HeaderMismatch(f"{self._name}: {field} = {text[:40]!r}; {right} is right.")
        return value

    def _start(self) -> datetime | None:
        """When the first line was measured: `YYYY DDD HH:MM:SS`, with a fraction perhaps."""
        words = self._said.get("START_TIME", "").split()
        try:
            year, day, clock = words
            hours, minutes, seconds = map(float, clock.rstrip("Z").split(":"))
            since = timedelta(int(day) - 1, hours=hours, minutes=minutes, seconds=seconds)
            return datetime(int(year), 1, 1, tzinfo=UTC) + since
        except (ValueError, OverflowError):
            return None


def hyperion_metadata(file: ByteSource) -> dict[str, str] | None:
    """The fields of a Hyperion product's metadata, without their groups; None for another file."""
    if "MTL" not in file.name.upper() or file.size > MAX_METADATA_BYTES:
        return None
    text = file.read_at(0, file.size).decode("latin-1")
    said: dict[str, str] = {}
    for line in text.splitlines():
        name, _, value = line.partition("=")
        said.setdefault(name.strip(), value.strip().strip('"'))
    return said if said.get("SENSOR_ID", "").upper() == "HYPERION" else None


def _by_band(
    name: str, said: Mapping[str, str], images: Sequence[ByteSource]
) -> dict[int, ByteSource]:
    """The images of one band each, by its number: as the metadata say, else their names."""
    listed = {
        said[f"BAND{number}_FILE_NAME"].upper(): number
        for number in range(1, BANDS + 1)
        if f"BAND{number}_FILE_NAME" in said
    }
    found: dict[int, ByteSource] = {}
    for image in images:
        in_name = BAND_OF_NAME.search(image.name)
        number = listed.get(image.name.upper()) or (int(in_name[1]) if in_name else 0)
        if number in found:
            raise UnsupportedFormat(
                f"{found[number].name} and {image.name} are both band {number} of {name}; one "
                "image of each band is right."
            )
        if 1 <= number <= BANDS:
            found[number] = image
    return dict(sorted(found.items()))


def _opened(
    name: str,
    by_band: Mapping[int, ByteSource],
    images: Sequence[ByteSource],
    options: ReadOptions,
) -> BandStackSource | GeoTiffSource:
    if by_band:
        return BandStackSource([*by_band.values()], options, numbers=[*by_band])
    if len(images) != 1:
        raise MissingData(
            f"{name} is the metadata of a Hyperion product; its images in the same upload are "
            "right, `…_B001_L1T.TIF` and so on, or one of all bands."
        )
    tiff_directories(images[0], options)  # refuses damaged and endless ones
    return GeoTiffSource(images[0], options)

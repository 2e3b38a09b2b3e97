"""EnMAP L2A and L1C products: `…-METADATA.XML` and `…-SPECTRAL_IMAGE.TIF` in one upload.

Layout: DLR, "EnMAP HSI Level 1B, Level 1C, Level 2A Product Specification" (EN-PCV-ICD-2009-2);
checked against the readers of SNAP and EnPT. `specific/bandCharacterisation/bandID` has centre,
width, gain and offset of each band, `specific/backgroundValue` the value outside the scene, and
`expectedChannelsList` the bands that hold data.
"""

import dataclasses
import math
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring
from numpy.typing import NDArray

from hsis.cube.gains import gain_of
from hsis.cube.layout import CubeInfo
from hsis_ingest.errors import HeaderMismatch, TruncatedFile, UnsupportedFormat
from hsis_ingest.formats.geotiff import GeoTiffSource
from hsis_ingest.formats.source import (
    NO_PROPERTIES,
    ByteSource,
    ReadOptions,
    parse_time,
    read_exactly,
)
from hsis_ingest.formats.tiff_directories import tiff_directories

METADATA_END = "METADATA.XML"
IMAGE_END = "SPECTRAL_IMAGE.TIF"
ROOT = "level_X"
MAX_METADATA_BYTES = 32 * 1024 * 1024
QUALITIES = ("vnirProductQuality", "swirProductQuality")


class EnmapSource:
    """An opened EnMAP product."""

    axes = "byx"
    outline = None
    properties = NO_PROPERTIES

    def __init__(self, metadata: ByteSource, image: ByteSource, options: ReadOptions) -> None:
        self._name = metadata.name
        root = _parsed(metadata)
        self.format_name = f"EnMAP {self._text(root, 'base/level')}"
        self.acquired_at = parse_time(root.findtext("base/temporalCoverage/startTime"))
        tiff_directories(image, options)  # refuses damaged and endless ones
        self._image = GeoTiffSource(image, options)
        try:
            self.axes = self._image.axes
            self.info = self._info(root, self._image.info)
        except BaseException:
            self._image.close()
            raise

    def read(self, bands: slice, rows: slice, columns: slice) -> NDArray[Any]:
        """A window, shape (band, y, x)."""
        return self._image.read(bands, rows, columns)

    def close(self) -> None:
        """Close the image."""
        self._image.close()

    def _info(self, root: Element, image: CubeInfo) -> CubeInfo:
        entries = [
            entry
            for entry in root.findall("specific/bandCharacterisation/bandID")
            if entry.find("wavelengthCenterOfBand") is not None
        ]
        if len(entries) != image.bands:
            raise HeaderMismatch(
                f"{self._name} describes {len(entries)} bands; the image has {image.bands}."
            )
        entries.sort(key=lambda entry: self._number(entry.get("number"), "bandID number"))
        numbers = [int(self._number(entry.get("number"), "bandID number")) for entry in entries]
        background = root.findtext("specific/backgroundValue")
        return dataclasses.replace(
            image,
            wavelengths_nm=self._values(entries, "wavelengthCenterOfBand"),
            fwhm_nm=self._values(entries, "FWHMOfBand"),
            good_bands=self._good_bands(root, numbers),
            unit="1" if self.format_name.endswith("L2A") else "W m-2 sr-1 nm-1",
            scale=gain_of(self._values(entries, "GainOfBand")),
            offset=gain_of(self._values(entries, "OffsetOfBand")),
            nodata=image.nodata
            if background is None
            else self._number(background, "backgroundValue"),
        )

    def _values(self, entries: list[Element], name: str) -> tuple[float, ...]:
        return tuple(self._number(entry.findtext(name), name) for entry in entries)

    def _good_bands(self, root: Element, numbers: list[int]) -> tuple[bool, ...] | None:
        expected: set[int] = set()
        for quality in QUALITIES:
            text = root.findtext(f"specific/{quality}/expectedChannelsList")
            if not text:
                return None
            expected |= {
                int(self._number(word, "channel")) for word in text.split(",") if word.strip()
            }
        return tuple(number in expected for number in numbers)

    def _text(self, root: Element, path: str) -> str:
        text = (root.findtext(path) or "").strip()
        if not text:
            raise HeaderMismatch(f"{self._name} says no {path}.")
        return text

    def _number(self, text: str | None, what: str) -> float:
        try:
            value = float(text or "")
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise HeaderMismatch(f"{self._name}: {what} is {(text or '')[:40]!r}, no number.")
        return value


def _parsed(metadata: ByteSource) -> Element:
    if metadata.size > MAX_METADATA_BYTES:
        raise HeaderMismatch(
            f"{metadata.name} has {metadata.size} bytes; at most {MAX_METADATA_BYTES} are right."
        )
    content = read_exactly(metadata, 0, metadata.size)
    try:
        root: Element = fromstring(content, forbid_dtd=True)
    except DefusedXmlException as error:
        raise UnsupportedFormat(
            f"{metadata.name} declares entities or a document type, which is not read."
        ) from error
    except (ParseError, ValueError, LookupError) as error:
        raise TruncatedFile(f"{metadata.name} is damaged or truncated: {error}.") from error
    if root.tag != ROOT:
        raise UnsupportedFormat(f"{metadata.name} is no metadata of EnMAP: its root is {root.tag}.")
    return root

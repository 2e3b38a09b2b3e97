"""What ImageJ and OME say of the images of a TIFF file."""

import math
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import IO, Any, cast
from xml.etree.ElementTree import Element, ParseError

import tifffile
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from hsis.digits import natural
from hsis.envi import length_nm
from hsis_ingest.errors import (
    ExternalReference,
    HeaderMismatch,
    TruncatedFile,
    UnsupportedFormat,
)
from hsis_ingest.formats.source import ByteSource, RangeFile, parse_time

LABEL_NANOMETRES = re.compile(r"(?<![\d.])(\d{3,5}(?:\.\d+)?) ?nm\b", re.IGNORECASE)
OME_STEPS = ("SizeC", "SizeZ", "SizeT")


@dataclass(frozen=True, slots=True)
class StackDescription:
    """`steps` are the numbers of channels, depths and times; `names` and wavelengths have one
    entry an image, or are None."""

    program: str | None = None
    steps: dict[str, int] = field(default_factory=dict)
    names: tuple[str, ...] | None = None
    wavelengths_nm: tuple[float, ...] | None = None
    acquired_at: datetime | None = None
    in_other_files: bool = False

    @property
    def images(self) -> int | None:
        """How many it says that there are."""
        return math.prod(self.steps.values()) if self.steps else None

    def check(self, count: int, name: str) -> None:
        """Refuse what is no cube, or is not all here: the file `name` holds `count` images."""
        if self.in_other_files:
            raise ExternalReference(
                f"{name} has some of its images in other files; one file of all is right."
            )
        several = {axis: steps for axis, steps in self.steps.items() if steps > 1}
        if len(several) > 1:
            told = ", ".join(f"{steps} {axis}" for axis, steps in several.items())
            raise UnsupportedFormat(
                f"{name} holds images along more than one axis ({told}); one, which becomes the "
                "bands, is right."
            )
        if self.images is not None and self.images != count:
            raise TruncatedFile(f"{name} holds {count} images; {self.program} says {self.images}.")


def stack_description(data: ByteSource, count: int) -> StackDescription:
    """What the first image of a file of `count` images says; nothing where no program is known."""
    file = RangeFile(data)
    try:
        # Never OME by tifffile, which opens the other files that it names.
        with tifffile.TiffFile(cast("IO[bytes]", file), is_ome=False, _multifile=False) as tiff:
            text = tiff.pages.first.description
            metadata = tiff.imagej_metadata if tiff.is_imagej else None
    except MemoryError:
        raise
    except Exception as error:  # tifffile raises whatever a damaged byte leads it to
        if file.error is not None:
            raise file.error from error
        raise TruncatedFile(f"{data.name} is damaged or truncated: {error}.") from error
    if metadata is not None:
        return _imagej(metadata, count)
    if text.lstrip().startswith("<") and "<OME" in text[:2000]:
        return _ome(text, data.name, count)
    return StackDescription()


def _imagej(metadata: dict[str, Any], count: int) -> StackDescription:
    steps = {
        axis: metadata[axis]
        for axis in ("channels", "slices", "frames")
        if isinstance(metadata.get(axis), int) and metadata[axis] > 0
    }
    images = metadata.get("images")
    if not steps and isinstance(images, int) and images > 0:
        steps = {"images": images}
    labels = metadata.get("Labels") or []
    names = tuple(" ".join(str(label).split()) for label in labels)
    known = len(names) == (math.prod(steps.values()) if steps else count) and all(names)
    return StackDescription(
        "ImageJ", steps, names if known else None, _labelled(names) if known else None
    )


def _labelled(names: tuple[str, ...]) -> tuple[float, ...] | None:
    """Wavelengths where every name has one, such as `450.5 nm`."""
    found = [LABEL_NANOMETRES.findall(name) for name in names]
    if not all(len(numbers) == 1 for numbers in found):
        return None
    return tuple(float(numbers[0]) for numbers in found)


def _ome(text: str, name: str, count: int) -> StackDescription:
    try:
        root = fromstring(text, forbid_dtd=True)
    except DefusedXmlException as error:
        raise UnsupportedFormat(
            f"{name}: its OME-XML declares entities or a document type, which is not read."
        ) from error
    except (ParseError, ValueError) as error:
        raise HeaderMismatch(f"{name}: its OME-XML is damaged: {error}.") from error
    images = root.findall("{*}Image")
    pixels = images[0].find("{*}Pixels") if images else None
    if pixels is None:
        return StackDescription("OME")
    if len(images) > 1:
        raise UnsupportedFormat(f"{name} holds {len(images)} series of images; one is right.")
    steps = {axis: _positive(pixels.get(axis), axis, name) for axis in OME_STEPS}
    channels = pixels.findall("{*}Channel")
    names = tuple(" ".join((channel.get("Name") or "").split()) for channel in channels)
    date = images[0].find("{*}AcquisitionDate")
    # A file refers to itself too; where images are missing, they lie with the others.
    others = pixels.findall(".//{*}UUID[@FileName]")
    return StackDescription(
        "OME",
        steps,
        names if len(names) == count and all(names) else None,
        _emitted(channels, name) if len(channels) == count else None,
        parse_time(date.text if date is not None else None),
        in_other_files=bool(others) and math.prod(steps.values()) > count,
    )


def _emitted(channels: list[Element], name: str) -> tuple[float, ...] | None:
    wavelengths: list[float] = []
    for channel in channels:
        text = channel.get("EmissionWavelength")
        factor = length_nm(channel.get("EmissionWavelengthUnit", "nm"))
        if text is None or factor is None:
            return None
        try:
            wavelengths.append(float(text) * factor)
        except ValueError:
            wavelengths.append(math.nan)
        if not math.isfinite(wavelengths[-1]):
            raise HeaderMismatch(f"{name}: EmissionWavelength {text[:40]!r} is no number.")
    return tuple(wavelengths)


def _positive(text: str | None, what: str, name: str) -> int:
    found = natural(text or "")
    if found is None or not 0 < found < 2**31:
        raise HeaderMismatch(
            f"{name}: {what} = {(text or '')[:40]!r}; a positive integer is right."
        )
    return found

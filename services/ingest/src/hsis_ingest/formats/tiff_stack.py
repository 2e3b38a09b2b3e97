"""TIFF files of several images of one size, as microscopes and tunable filters write them.

ImageJ and OME say what the images are (channels, depths, times): at most one of these may have
several steps, and it becomes the axis of bands. GDAL reads each image, so every compression that it
knows is read; ImageJ's large files, of one image and the others' bytes behind it, are read as one
array.
"""

import dataclasses
from typing import Any

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray
from rasterio.windows import Window

from hsis.cube.gains import gain_of
from hsis.cube.layout import CubeInfo
from hsis_ingest.errors import TruncatedFile, UnsupportedFormat
from hsis_ingest.formats.geotiff import (
    GeoTiffSource,
    check_blocks,
    check_sizes,
    describe,
    open_quietly,
)
from hsis_ingest.formats.source import NO_PROPERTIES, ByteSource, ReadOptions, Source
from hsis_ingest.formats.stack_description import StackDescription, stack_description
from hsis_ingest.formats.strided import StridedArray
from hsis_ingest.formats.tiff_directories import Directory, tiff_directories

OPEN_IMAGES = 16
IMAGEJ = b"ImageJ="


def open_tiff(data: ByteSource, options: ReadOptions) -> Source:
    """The cube in a TIFF file: one image of several bands, or several images of one."""
    images = [each for each in tiff_directories(data, options) if each.is_image]
    if len(images) > 1:
        return TiffStackSource(data, images, options)
    if images and images[0].description_begins(data, IMAGEJ):
        said = stack_description(data, 1)
        if (said.images or 1) > 1:
            return ImageJSource(data, said, options)
    return GeoTiffSource(data, options)


class TiffStackSource(GeoTiffSource):
    """An opened file of several images, one a band."""

    format_name = "TIFF stack"

    def __init__(self, data: ByteSource, images: list[Directory], options: ReadOptions) -> None:
        different = sorted({image.signature for image in images})
        if len(different) > 1:
            shown = ", ".join(f"{width} x {height}" for width, height, *_ in different[:4])
            raise UnsupportedFormat(
                f"{data.name} holds {len(images)} images of different sizes or types ({shown}); "
                "images of one size, or one image of several bands, are right."
            )
        self._images = images
        self._open_images: LRUCache[int, Any] = LRUCache(OPEN_IMAGES)
        super().__init__(data, options)

    def _describe(self, data: ByteSource) -> None:
        count = len(self._images)
        if self._dataset.count != 1:
            raise UnsupportedFormat(
                f"{data.name} holds {count} images of {self._dataset.count} bands each; images of "
                "one band, or one image of several bands, are right."
            )
        said = stack_description(data, count)
        said.check(count, data.name)
        for dataset in (self._dataset, self._image(count - 1)):
            check_blocks(dataset, data)
        check_sizes(self._dataset, data, self._options, images=count)
        self.axes = "byx"
        self.acquired_at = said.acquired_at
        self.info = self._with_gains(_stacked(describe(self._dataset, data.name), count, said))
        if said.program:
            self.format_name = f"TIFF stack ({said.program})"

    def _with_gains(self, info: CubeInfo) -> CubeInfo:
        """With what each image says of itself."""
        if not any(image.by_gdal for image in self._images):
            return info
        scales, offsets = [], []
        for number in range(info.bands):  # few of them stay open
            image = self._image(number)
            scales.append(image.scales[0])
            offsets.append(image.offsets[0])
        return dataclasses.replace(info, scale=gain_of(scales), offset=gain_of(offsets))

    def _values(self, bands: slice, window: Window) -> NDArray[Any]:
        shape = (bands.stop - bands.start, window.height, window.width)
        values = np.empty(shape, self.info.dtype)
        for place, number in enumerate(range(bands.start, bands.stop)):
            self._image(number).read(1, window=window, out=values[place])
        return values

    def _image(self, number: int) -> Any:
        """An image's dataset; the last few stay open."""
        dataset = self._open_images.get(number)
        if dataset is None:
            if len(self._open_images) == OPEN_IMAGES:
                self._open_images.popitem()[1].close()
            offset = self._images[number].offset
            # The first image says where all of them lie.
            name = f"GTIFF_DIR:off:{offset}:{self._dataset.name}"
            dataset = open_quietly(name, GEOREF_SOURCES="NONE")
            self._open_images[number] = dataset
        return dataset

    def _close(self) -> None:
        while self._open_images:
            self._open_images.popitem()[1].close()
        super()._close()


class ImageJSource:
    """An opened file of ImageJ that holds one image directory and the values of all behind it."""

    format_name = "TIFF stack (ImageJ)"
    outline = None
    properties = NO_PROPERTIES
    axes = "byx"

    def __init__(self, data: ByteSource, said: StackDescription, options: ReadOptions) -> None:
        count = said.images or 1
        said.check(count, data.name)
        first = GeoTiffSource(data, options)
        try:
            offset = first.first_byte()
            base = first.info
        finally:
            first.close()
        if base.bands != 1 or offset is None:
            raise UnsupportedFormat(
                f"{data.name} holds {count} images after one directory, and that of {base.bands} "
                "bands, or compressed; ImageJ writes such of one band, uncompressed."
            )
        _, rows, columns = base.shape
        dtype = base.dtype.newbyteorder(">" if data.read_at(0, 2) == b"MM" else "<")
        self._array = StridedArray(data, offset, dtype, "byx", (count, rows, columns))
        if self._array.end > data.size:
            raise TruncatedFile(
                f"{data.name} has {data.size} bytes; its {count} images need {self._array.end}."
            )
        self.acquired_at = said.acquired_at
        self.info = _stacked(base, count, said)

    def read(self, bands: slice, rows: slice, columns: slice) -> NDArray[Any]:
        """A window, shape (band, y, x)."""
        return self._array.read(bands, rows, columns)

    def close(self) -> None:
        """Nothing is held."""


def _stacked(image: CubeInfo, count: int, said: StackDescription) -> CubeInfo:
    """The description of `count` images like this one."""
    return dataclasses.replace(
        image,
        shape=(count, *image.shape[1:]),
        wavelengths_nm=said.wavelengths_nm,
        fwhm_nm=None,
        good_bands=None,
        band_names=said.names,
    )

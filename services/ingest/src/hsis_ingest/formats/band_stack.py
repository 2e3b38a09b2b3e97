"""Single-band GeoTIFFs of one grid, uploaded together: one file a band."""

import dataclasses
import math
import re
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsis.cube.gains import gain_of
from hsis.cube.layout import CubeInfo
from hsis_ingest.errors import HeaderMismatch, UnsupportedFormat
from hsis_ingest.formats.expansion import check_expansion
from hsis_ingest.formats.geotiff import GeoTiffSource
from hsis_ingest.formats.source import NO_PROPERTIES, ByteSource, ReadOptions
from hsis_ingest.formats.tiff_directories import tiff_directories

NUMBER = re.compile(r"\d+(?:\.\d+)?")
IN_NANOMETRES = re.compile(r"\s*_?nm(?![a-z])", re.IGNORECASE)
GRID = ("shape", "dtype", "crs_wkt", "transform", "nodata", "unit")
"""What all files must have in common."""


class BandStackSource:
    """Opened single-band files, ordered by their `numbers` where these are known, else by their
    wavelengths, else by the number in their names."""

    format_name = "GeoTIFF band stack"
    outline = None
    properties = NO_PROPERTIES
    axes = "byx"

    def __init__(
        self,
        files: Sequence[ByteSource],
        options: ReadOptions,
        *,
        numbers: Sequence[float] | None = None,
    ) -> None:
        self._exits = ExitStack()
        try:
            opened = [self._opened(file, options) for file in files]
            self._bands, order = _ordered(files, opened, numbers)
            first = self._bands[0].info
            names = tuple(files[place].name.rpartition(".")[0] for place in order)
            self.info = _joined([band.info for band in self._bands], names)
            self.acquired_at = min(
                (band.acquired_at for band in self._bands if band.acquired_at), default=None
            )
            declared = math.prod(self.info.shape) * first.dtype.itemsize
            check_expansion(declared, sum(file.size for file in files), files[0].name, options)
        except BaseException:
            self._exits.close()
            raise

    def read(self, bands: slice, rows: slice, columns: slice) -> NDArray[Any]:
        """A window, shape (band, y, x)."""
        shape = (bands.stop - bands.start, rows.stop - rows.start, columns.stop - columns.start)
        values = np.empty(shape, self.info.dtype)
        for place, band in enumerate(self._bands[bands]):
            values[place] = band.read(slice(0, 1), rows, columns)[0]
        return values

    def close(self) -> None:
        """Close the files."""
        self._exits.close()

    def _opened(self, file: ByteSource, options: ReadOptions) -> GeoTiffSource:
        tiff_directories(file, options)  # refuses damaged and endless ones
        source = GeoTiffSource(file, options)
        self._exits.callback(source.close)
        if source.info.bands != 1:
            raise UnsupportedFormat(
                f"{file.name} has {source.info.bands} bands: it is a cube of its own. Upload cubes "
                "one by one; files of one band each become one cube."
            )
        return source


def _ordered(
    files: Sequence[ByteSource],
    sources: list[GeoTiffSource],
    numbers: Sequence[float] | None,
) -> tuple[list[GeoTiffSource], list[int]]:
    """The sources in the order of bands, each of the same grid, and their former places."""
    _check_grids(files, sources)
    wavelengths = [source.info.wavelengths_nm for source in sources]
    if numbers is not None:
        keys = [*numbers]
    elif all(wavelengths):
        keys = [each[0] for each in wavelengths if each]
    else:
        keys, in_nanometres = _numbers([file.name for file in files])
        if in_nanometres:
            for source, key in zip(sources, keys, strict=True):
                source.info = dataclasses.replace(source.info, wavelengths_nm=(key,))
    order = sorted(range(len(files)), key=keys.__getitem__)
    return [sources[place] for place in order], order


def _check_grids(files: Sequence[ByteSource], sources: list[GeoTiffSource]) -> None:
    first = sources[0].info
    for file, source in zip(files, sources, strict=True):
        for name in GRID:
            ours, theirs = getattr(first, name), getattr(source.info, name)
            if ours != theirs and not (ours != ours and theirs != theirs):  # NaN is not NaN
                raise HeaderMismatch(
                    f"{files[0].name} and {file.name} differ in their {name.removesuffix('_wkt')} "
                    f"({str(ours)[:60]}, {str(theirs)[:60]}); the bands of a cube have one grid."
                )


def _numbers(names: list[str]) -> tuple[list[float], bool]:
    """The number in each name that tells the files apart, the last where several do, and whether
    `nm` stands behind it; UnsupportedFormat where there is none."""
    matches = [list(NUMBER.finditer(name)) for name in names]
    alike = len({NUMBER.sub("#", name) for name in names}) == 1
    for place in reversed(range(len(matches[0]) if alike else 0)):
        values = [float(found[place].group()) for found in matches]
        if len(set(values)) == len(values):
            units = [
                IN_NANOMETRES.match(name, found[place].end()) is not None
                for name, found in zip(names, matches, strict=True)
            ]
            return values, all(units) and min(values) > 0
    shown = ", ".join(names[:4])
    raise UnsupportedFormat(
        f"{shown}: the order of these bands is not clear. A tag `wavelength` in each, or names "
        "that differ in one number, are right; cubes of their own are uploaded one by one."
    )


def _joined(infos: list[CubeInfo], names: tuple[str, ...]) -> CubeInfo:
    """The description of the whole from those of the bands, in their order."""
    first = infos[0]
    described = [info.band_names[0] if info.band_names else None for info in infos]
    return dataclasses.replace(
        first,
        shape=(len(infos), *first.shape[1:]),
        wavelengths_nm=_all(infos, "wavelengths_nm"),
        fwhm_nm=_all(infos, "fwhm_nm"),
        good_bands=_all(infos, "good_bands"),
        scale=gain_of([info.scales[0] for info in infos]),
        offset=gain_of([info.offsets[0] for info in infos]),
        band_names=tuple(str(name) for name in described)
        if all(described) and len(set(described)) == len(infos)
        else names,
    )


def _all(infos: list[CubeInfo], name: str) -> Any:
    """One value a band, where every band has one."""
    values = [getattr(info, name) for info in infos]
    return tuple(each[0] for each in values) if all(each is not None for each in values) else None

"""PRISMA hyperspectral products, levels 1, 2B, 2C and 2D (`.he5`, HDF-EOS5).

Layout: ASI, "PRISMA Products Specification Document"; checked against the readers prismaread (R),
ACOLITE and EnMAP-Box. `VNIR_Cube` and `SWIR_Cube` of a swath have axes (y, band, x) and fall in
wavelength; bands with a wavelength of 0 hold nothing. Level 1: DN / scale factor - offset; level 2:
min + DN (max - min) / 65535, with a range for each of the cubes. Level 2D lies on a UTM grid whose
corners are told by the centres of their pixels, and is 0 around the scene.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.errors import CRSError

from hsis.cube.gains import gain_of
from hsis.cube.layout import CubeInfo, Transform
from hsis_ingest.errors import HeaderMismatch
from hsis_ingest.formats.hdf5_array import Hdf5Array
from hsis_ingest.formats.hdf5_file import Hdf5File
from hsis_ingest.formats.source import NO_PROPERTIES, ReadOptions, parse_time
from hsis_ingest.formats.swath import swath_outline

SWATHS = "HDFEOS/SWATHS"
SWATH = re.compile(r"PRS_L(1|2B|2C|2D)_(HCO|HRC)")
DETECTORS = ("VNIR", "SWIR")
VARIABLES = {f"{detector}_Cube": (detector,) for detector in DETECTORS}
"""What an uploader may name as `variable` to get one cube alone."""
LARGEST_DN = 65535
REFLECTANCE_LEVELS = frozenset({"2C", "2D"})


@dataclass(frozen=True, slots=True)
class _Cube:
    """One detector's cube: its values, axes (y, band, x), and what makes them physical."""

    values: Hdf5Array
    scale: float
    offset: float


@dataclass(frozen=True, slots=True)
class _Band:
    """A band of the joined cube: where it lies, and what is said of it."""

    wavelength_nm: float
    fwhm_nm: float
    good: bool
    cube: int
    index: int


def swath_of(file: Hdf5File) -> tuple[str, str] | None:
    """Path and level of a PRISMA file's hyperspectral swath, the coregistered one first; None for
    other files."""
    group = file.group(SWATHS)
    if group is None:
        return None
    with file.guarded():
        found = [(name, SWATH.fullmatch(name)) for name in sorted(group)]
    for name, match in found:
        if match is not None:
            return f"{SWATHS}/{name}", match[1]
    return None


class PrismaSource:
    """An opened PRISMA product, VNIR and SWIR joined in the order of wavelengths: the DN as they
    are, each band with its detector's scale and offset."""

    properties = NO_PROPERTIES

    def __init__(self, file: Hdf5File, swath: tuple[str, str], options: ReadOptions) -> None:
        self._file = file
        path, self._level = swath
        self.format_name = f"PRISMA L{self._level}"
        detectors = VARIABLES.get(options.variable or "", DETECTORS)
        found = {
            detector: dataset
            for detector in detectors
            if (dataset := file.dataset(f"{path}/Data Fields/{detector}_Cube")) is not None
        }
        if not found:
            raise HeaderMismatch(f"{file.name}: {path} has no VNIR_Cube and no SWIR_Cube.")
        self._cubes = [self._cube(each, found[each], options) for each in found]
        types = {cube.values.dtype for cube in self._cubes}
        if len(types) > 1:
            raise HeaderMismatch(f"{file.name}: VNIR and SWIR have values of different types.")
        sizes = {(cube.values.shape[0], cube.values.shape[2]) for cube in self._cubes}
        if len(sizes) > 1:
            raise HeaderMismatch(f"{file.name}: VNIR and SWIR have pictures of different sizes.")
        rows, columns = sizes.pop()
        bands = [band for n, each in enumerate(found) for band in self._bands(each, n)]
        self._joined = sorted(bands, key=lambda band: band.wavelength_nm)
        if not self._joined:
            raise HeaderMismatch(f"{file.name}: no band has a wavelength above 0.")
        self.axes = self._cubes[0].values.thin_first("ybx")
        crs_wkt, transform = self._place(rows, columns)
        self.info = self._info(rows, columns, crs_wkt, transform)
        self.acquired_at = parse_time(file.text(file.root, "Product_StartTime"))
        fields = {
            f"{path}/{name}": dataset
            for name in self._geolocation_fields(path)
            if (dataset := file.dataset(f"{path}/{name}")) is not None
        }
        self.outline = None if transform else swath_outline(file, fields, rows, columns, options)

    def read(self, bands: slice, rows: slice, columns: slice) -> NDArray[Any]:
        """A window, shape (band, y, x)."""
        wanted = self._joined[bands]
        height, width = rows.stop - rows.start, columns.stop - columns.start
        result = np.empty((len(wanted), height, width), self.info.dtype)
        for number, cube in enumerate(self._cubes):
            places = [place for place, band in enumerate(wanted) if band.cube == number]
            if not places:
                continue
            indices = [wanted[place].index for place in places]
            first = min(indices)
            stored = cube.values.read((rows, slice(first, max(indices) + 1), columns))
            for place, index in zip(places, indices, strict=True):
                result[place] = stored[:, index - first]
        return result

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _info(
        self, rows: int, columns: int, crs_wkt: str | None, transform: Transform | None
    ) -> CubeInfo:
        joined = self._joined
        cubes = [self._cubes[band.cube] for band in joined]
        widths = tuple(band.fwhm_nm for band in joined)
        return CubeInfo(
            shape=(len(joined), rows, columns),
            dtype=cubes[0].values.dtype,
            wavelengths_nm=tuple(band.wavelength_nm for band in joined),
            fwhm_nm=widths if all(width > 0 for width in widths) else None,
            good_bands=tuple(band.good for band in joined),
            unit="1" if self._level in REFLECTANCE_LEVELS else "W m-2 sr-1 um-1",
            scale=gain_of([cube.scale for cube in cubes]),
            offset=gain_of([cube.offset for cube in cubes]),
            nodata=0.0 if self._level == "2D" else None,
            crs_wkt=crs_wkt,
            transform=transform,
        )

    def _cube(self, detector: str, dataset: h5py.Dataset, options: ReadOptions) -> _Cube:
        values = Hdf5Array(self._file, dataset, options)
        name = detector.capitalize()
        if self._level == "1":
            scale = 1 / (self._number(f"ScaleFactor_{name}") or 1.0)
            return _Cube(values, scale, -self._number(f"Offset_{name}"))
        low, high = (self._number(f"L2Scale{name}{end}") for end in ("Min", "Max"))
        return _Cube(values, (high - low) / LARGEST_DN or 1.0, low)

    def _bands(self, detector: str, number: int) -> list[_Band]:
        """The bands of a cube that have a wavelength."""
        count = self._cubes[number].values.shape[1]
        name = detector.capitalize()
        wavelengths = self._list(f"List_Cw_{name}", count)
        widths = self._list(f"List_Fwhm_{name}", count)
        flags = self._list(f"List_Cw_{name}_Flags", count)
        return [
            _Band(float(wavelength), float(width), bool(flag), number, index)
            for index, (wavelength, width, flag) in enumerate(
                zip(wavelengths, widths, flags, strict=True)
            )
            if wavelength > 0
        ]

    def _list(self, name: str, count: int) -> Sequence[float]:
        values = np.atleast_1d(np.asarray(self._file.attribute(self._file.root, name)))
        if values.dtype.kind not in "iuf" or values.shape != (count,):
            raise HeaderMismatch(f"{self._file.name}: {name} has no {count} numbers.")
        if not np.isfinite(values).all():
            raise HeaderMismatch(f"{self._file.name}: {name} holds something that is no number.")
        return [float(value) for value in values]

    def _number(self, name: str) -> float:
        value = self._file.number(self._file.root, name)
        if value is None or not math.isfinite(value):
            raise HeaderMismatch(f"{self._file.name} says no {name}; a number is right.")
        return value

    def _place(self, rows: int, columns: int) -> tuple[str | None, Transform | None]:
        if self._level != "2D" or min(rows, columns) < 2:
            return None, None
        left, top = (self._number(f"Product_ULcorner_{way}") for way in ("easting", "northing"))
        right, bottom = (self._number(f"Product_LRcorner_{way}") for way in ("easting", "northing"))
        across, down = (right - left) / (columns - 1), (bottom - top) / (rows - 1)
        try:
            crs_wkt = CRS.from_epsg(int(self._number("Epsg_Code"))).to_wkt()
        except CRSError as error:
            raise HeaderMismatch(f"{self._file.name}: Epsg_Code is no known one.") from error
        return crs_wkt, (across, 0.0, left - across / 2, 0.0, down, top - down / 2)

    def _geolocation_fields(self, path: str) -> list[str]:
        group = self._file.group(f"{path}/Geolocation Fields")
        with self._file.guarded():
            return [] if group is None else [f"Geolocation Fields/{name}" for name in group]

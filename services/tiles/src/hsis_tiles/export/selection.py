"""What of a cube is exported: bands and a window."""

import dataclasses
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import TypeVar

from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.warp import transform_bounds

from hsis.cube import gains, layout
from hsis.cube.layout import CubeInfo, Shape, Transform
from hsis.errors import InvalidInput

T = TypeVar("T")

LONLAT = "EPSG:4326"
BANDS_RULE = (
    "band numbers from 1 and ranges `first:last` or `first:last:step`, both ends included, joined "
    "by commas; or `good` for the bands that are fit for use"
)
WINDOW_RULE = "`x0,y0,x1,y1` in pixels from the upper left, the last column and row excluded"
BBOX_RULE = "`west,south,east,north`"
_RANGE = re.compile(r"^\s*(\d{1,9})\s*(?::\s*(\d{1,9})\s*(?::\s*(\d{1,9})\s*)?)?$")
_EDGE = 1e-6
"""Of a pixel: a bbox that ends this close to the border of one does not mean it."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Bands by number from 0, in the order of the export, and half-open intervals of pixels."""

    bands: tuple[int, ...]
    rows: tuple[int, int]
    columns: tuple[int, int]

    @property
    def shape(self) -> Shape:
        """Bands, rows, columns of the export."""
        return (
            len(self.bands),
            self.rows[1] - self.rows[0],
            self.columns[1] - self.columns[0],
        )

    def is_whole(self, info: CubeInfo) -> bool:
        """Whether this is the cube as it is."""
        return self.bands == tuple(range(info.bands)) and self.shape == info.shape


def select(
    info: CubeInfo,
    *,
    bands: str | None = None,
    window: str | None = None,
    bbox: str | None = None,
    lonlat: bool = False,
) -> Selection:
    """What a request names; the whole cube where it names nothing.

    `bbox` is in the CRS of the cube, or in degrees of WGS 84 where `lonlat`. InvalidInput, with
    what would be right, where the cube has no such part.
    """
    if window and bbox:
        raise InvalidInput("Give `window` or `bbox`, not both.")
    rows, columns = (0, info.shape[1]), (0, info.shape[2])
    if window:
        rows, columns = _window(info, window)
    elif bbox:
        rows, columns = _pixels_in(info, bbox, lonlat=lonlat)
    return Selection(_bands(info, bands), rows, columns)


def describe(info: CubeInfo, chosen: Selection) -> CubeInfo:
    """The description of the selected part: its own bands, and its transform."""

    def of_bands(values: Sequence[T] | None) -> tuple[T, ...] | None:
        return None if values is None else tuple(values[band] for band in chosen.bands)

    return dataclasses.replace(
        info,
        shape=chosen.shape,
        wavelengths_nm=of_bands(info.wavelengths_nm),
        fwhm_nm=of_bands(info.fwhm_nm),
        good_bands=of_bands(info.good_bands),
        band_names=of_bands(info.band_names),
        scale=gains.of_bands(info.scale, chosen.bands),
        offset=gains.of_bands(info.offset, chosen.bands),
        transform=_shifted(info.transform, chosen),
    )


def of_overview(whole: CubeInfo, chosen: Selection, factor: int) -> Selection:
    """The part of a stored overview that shows a selection. Where the selection does not begin on
    one of the overview's pixels, it is the nearest: less than half of such a pixel beside it."""
    _, rows, columns = layout.overview_shape(whole.shape, factor)

    def part(interval: tuple[int, int], size: int) -> tuple[int, int]:
        count = math.ceil((interval[1] - interval[0]) / factor)
        start = min((interval[0] + factor // 2) // factor, size - count)
        return start, start + count

    return Selection(chosen.bands, part(chosen.rows, rows), part(chosen.columns, columns))


def _shifted(transform: Transform | None, chosen: Selection) -> Transform | None:
    if transform is None:
        return None
    a, b, c, d, e, f = transform
    x, y = chosen.columns[0], chosen.rows[0]
    return a, b, c + a * x + b * y, d, e, f + d * x + e * y


def _bands(info: CubeInfo, text: str | None) -> tuple[int, ...]:
    if text is None or not text.strip():
        return tuple(range(info.bands))
    if text.strip() == "good":
        chosen = [band for band, good in enumerate(info.good) if good]
        if not chosen:
            raise InvalidInput("bands=good: no band of this cube is fit for use.")
        return tuple(chosen)
    chosen = []
    for part in text.split(","):
        found = _RANGE.match(part)
        if found is None:
            raise InvalidInput(
                f"bands={text[:60]!r}: {part[:30]!r} is none; right are {BANDS_RULE}."
            )
        first = int(found[1])
        last, step = int(found[2] or first), int(found[3] or 1)
        for number in (first, last):
            if not 1 <= number <= info.bands:
                raise InvalidInput(
                    f"There is no band {number}: bands are numbered 1 to {info.bands}."
                )
        if last < first or step == 0:
            raise InvalidInput(
                f"bands={part!r}: the first band comes first, and a step is 1 or more."
            )
        chosen += range(first - 1, last, step)
        if len(chosen) > info.bands:  # before a request of many ranges takes memory
            break
    if len(set(chosen)) < len(chosen):
        raise InvalidInput(f"bands={text[:60]!r} names a band twice; each once is right.")
    return tuple(chosen)


def _numbers(name: str, text: str, rule: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != 4 or not all(map(math.isfinite, numbers)):
        raise InvalidInput(f"{name}={text[:60]!r}: {rule} is right.")
    return numbers


def _window(info: CubeInfo, text: str) -> tuple[tuple[int, int], tuple[int, int]]:
    numbers = _numbers("window", text, WINDOW_RULE)
    if not all(number.is_integer() for number in numbers):
        raise InvalidInput(f"window={text[:60]!r}: {WINDOW_RULE} is right.")
    x0, y0, x1, y1 = map(int, numbers)
    _, rows, columns = info.shape
    if not (0 <= x0 < x1 <= columns and 0 <= y0 < y1 <= rows):
        raise InvalidInput(
            f"window={text[:60]!r} is no part of the cube: 0 <= x0 < x1 <= {columns} and "
            f"0 <= y0 < y1 <= {rows} are right."
        )
    return (y0, y1), (x0, x1)


def _pixels_in(
    info: CubeInfo, text: str, *, lonlat: bool
) -> tuple[tuple[int, int], tuple[int, int]]:
    """The smallest window that holds every part of the cube in the box."""
    west, south, east, north = _numbers("bbox", text, BBOX_RULE)
    if not (west < east and south < north):
        raise InvalidInput(
            f"bbox={text[:60]!r}: {BBOX_RULE} with west < east and south < north is right."
        )
    if info.transform is None:
        raise InvalidInput("The cube has no place on a map; give `window` in pixels.")
    if lonlat:
        west, south, east, north = _in_crs_of(info, (west, south, east, north))
    a, b, c, d, e, f = info.transform
    determinant = a * e - b * d
    if not determinant:
        raise InvalidInput("The cube's transform cannot be inverted; give `window` in pixels.")
    xs, ys = [], []
    for east_or_west, north_or_south in product((west, east), (south, north)):
        u, v = east_or_west - c, north_or_south - f
        xs.append((e * u - b * v) / determinant)
        ys.append((a * v - d * u) / determinant)
    if not all(map(math.isfinite, xs + ys)):
        raise InvalidInput(
            f"bbox={text[:60]!r} is too large to compute with; a box about the cube"
            f"{_extent(info)}, is right."
        )
    _, rows, columns = info.shape
    x0, x1 = max(0, math.floor(min(xs) + _EDGE)), min(columns, math.ceil(max(xs) - _EDGE))
    y0, y1 = max(0, math.floor(min(ys) + _EDGE)), min(rows, math.ceil(max(ys) - _EDGE))
    if x0 >= x1 or y0 >= y1:
        raise InvalidInput(f"bbox={text[:60]!r} does not touch the cube{_extent(info)}.")
    return (y0, y1), (x0, x1)


def _in_crs_of(
    info: CubeInfo, box: tuple[float, float, float, float]
) -> tuple[float, float, float, float]:
    if info.crs_wkt is None:
        raise InvalidInput(
            "The cube has no reference system; give `bbox` in its own coordinates, or `window`."
        )
    try:
        west, south, east, north = transform_bounds(LONLAT, CRS.from_wkt(info.crs_wkt), *box)
    except CRSError as error:
        raise InvalidInput("`bbox` in degrees is not of the cube's reference system.") from error
    if not all(map(math.isfinite, (west, south, east, north))):
        raise InvalidInput("`bbox` has no place in the cube's reference system.")
    return west, south, east, north


def _extent(info: CubeInfo) -> str:
    if info.transform is None:
        return ""
    a, b, c, d, e, f = info.transform
    _, rows, columns = info.shape
    corners = list(product((0, columns), (0, rows)))
    xs = [a * x + b * y + c for x, y in corners]
    ys = [d * x + e * y + f for x, y in corners]
    return f", which reaches from {min(xs):g},{min(ys):g} to {max(xs):g},{max(ys):g}"

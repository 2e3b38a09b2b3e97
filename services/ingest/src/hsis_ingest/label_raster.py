"""A class raster as a GeoTIFF on the grid of the cube that it labels."""

import warnings
from collections import Counter
from dataclasses import dataclass
from itertools import chain, count
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import MemoryFile
from rasterio.windows import Window

from hsis.cube.classes import CubeClass, numbered_classes
from hsis.cube.layout import CubeInfo, Transform
from hsis.cube.statistics import nodata_in
from hsis_ingest.errors import LabelMismatch
from hsis_ingest.formats.source import Source

STRIP_BYTES = 16 * 1024 * 1024
MAX_CLASSES = 4096
DTYPES = ("uint8", "uint16", "int16", "uint32", "int32")
TILE = 256
SAME_GRID = 0.1
"""Of a pixel: how far the corners of two grids may be apart."""


@dataclass(frozen=True, slots=True)
class LabelRaster:
    """`content` is the GeoTIFF; `counts` how many pixels have each value that occurs."""

    content: bytes
    dtype: str
    nodata: int | None
    classes: tuple[CubeClass, ...]
    counts: dict[int, int]


def label_raster(
    source: Source, cube: CubeInfo, class_names: list[str] | None, name: str
) -> LabelRaster:
    """The classes of `source`, read in strips; LabelMismatch where they cannot label `cube`.

    Unlabelled is the source's own nodata value, else 0 where no class has that value. NaN of a
    raster of floats, and its nodata value where no class can have that, become one that none has.
    """
    _check_shape(source.info, cube, name)
    counts, empty = _counts(source, name)
    nodata = _nodata(source.info, class_names, counts, empty)
    if nodata is not None and empty:
        counts[nodata] += empty
    classes = _classes(source.info, counts, nodata, class_names, name)
    dtype = _dtype({*counts, *(() if nodata is None else (nodata,))}, name)
    content = _geotiff(source, cube, dtype, nodata, classes)
    return LabelRaster(content, dtype, nodata, classes, dict(sorted(counts.items())))


def _check_shape(info: CubeInfo, cube: CubeInfo, name: str) -> None:
    bands, rows, columns = info.shape
    if bands != 1 or info.dtype.kind not in "iuf":
        raise LabelMismatch(
            f"{name} has {bands} bands of {info.dtype}; a class map has one of whole numbers."
        )
    if (rows, columns) != cube.shape[1:]:
        raise LabelMismatch(
            f"{name} has {rows} rows x {columns} columns; the cube has {cube.shape[1]} x "
            f"{cube.shape[2]}."
        )
    if info.transform is None or cube.transform is None:
        return
    if not _is_same_grid(info.transform, cube.transform, rows, columns):
        raise LabelMismatch(
            f"{name} lies on another grid (transform {info.transform}) than the cube "
            f"({cube.transform})."
        )


def _is_same_grid(one: Transform, other: Transform, rows: int, columns: int) -> bool:
    corners = np.array([[0, columns, 0, columns], [0, 0, rows, rows], [1, 1, 1, 1]])
    apart = np.subtract(one, other).reshape(2, 3) @ corners
    a, b, _, d, e, _ = other
    pixel = min(np.hypot(a, d), np.hypot(b, e))
    return bool(np.hypot(*apart).max() <= SAME_GRID * pixel)


def _strips(source: Source) -> list[slice]:
    _, rows, columns = source.info.shape
    step = max(1, STRIP_BYTES // (columns * source.info.dtype.itemsize))
    return [slice(start, min(start + step, rows)) for start in range(0, rows, step)]


def _read(source: Source, rows: slice, name: str) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """A strip, shape (y, x): integers, and where there are none: at NaN and at nodata."""
    values: NDArray[Any] = source.read(slice(0, 1), rows, slice(0, source.info.shape[2]))[0]
    empty = np.isnan(values)
    declared = source.info.nodata
    without = None if declared is None else nodata_in(values.dtype, declared)
    if without is not None:
        empty |= values == without
    if values.dtype.kind != "f":
        return values, empty
    values = np.where(empty, 0, values)
    wrong = np.argwhere(~np.isfinite(values) | (values != np.floor(values)))
    if len(wrong):
        y, x = wrong[0].tolist()
        raise LabelMismatch(
            f"{name} holds {values[y, x]} at pixel ({x}, {y + rows.start}); whole numbers are "
            "right, and NaN or the value for no data where there is no class."
        )
    if np.abs(values).max(initial=0) >= 2**31:
        raise LabelMismatch(f"{name} holds values that are too large for classes.")
    return values.astype(np.int64), empty


def _counts(source: Source, name: str) -> tuple[Counter[int], int]:
    """How many pixels have each value, and how many have none."""
    counts: Counter[int] = Counter()
    without = 0
    for rows in _strips(source):
        labels, empty = _read(source, rows, name)
        values, many = np.unique_counts(labels[~empty])
        counts.update(dict(zip(values.tolist(), many.tolist(), strict=True)))
        without += int(empty.sum())
        if len(counts) > MAX_CLASSES:
            raise LabelMismatch(
                f"{name} holds more than {MAX_CLASSES} different values: it is no class map."
            )
    return counts, without


def _nodata(
    info: CubeInfo, class_names: list[str] | None, counts: Counter[int], empty: int
) -> int | None:
    """The value for no class, where `empty` pixels have no whole number."""
    if class_names is not None:
        return 0
    if info.nodata is not None and _can_be_stored(info.nodata):
        return int(info.nodata)
    taken = {*(entry.value for entry in info.classes)}
    if empty or (info.nodata is not None and info.dtype.kind == "f"):
        taken |= {*counts}  # 0 is a class there, since something else is none
        return next(value for value in chain((0, 255), count(256)) if value not in taken)
    return None if 0 in taken else 0


def _can_be_stored(nodata: float) -> bool:
    limits = [np.iinfo(dtype) for dtype in DTYPES]
    least, most = min(each.min for each in limits), max(each.max for each in limits)
    return least <= nodata <= most and nodata == int(nodata)


def _classes(
    info: CubeInfo,
    counts: Counter[int],
    nodata: int | None,
    class_names: list[str] | None,
    name: str,
) -> tuple[CubeClass, ...]:
    """Those that are named, and one for every other value that occurs where none were given."""
    present = sorted(value for value in counts if value != nodata)
    if class_names is not None:
        beyond = [value for value in present if not 1 <= value <= len(class_names)]
        if beyond:
            raise LabelMismatch(
                f"{name} holds the value {beyond[0]}; {len(class_names)} class names are for 1 to "
                f"{len(class_names)}."
            )
        return numbered_classes(class_names)
    named = {entry.value: entry for entry in info.classes}
    generated = numbered_classes([f"Class {value}" for value in present])
    for value, entry in zip(present, generated, strict=True):
        named.setdefault(value, CubeClass(value, entry.title, entry.colour))
    return tuple(named[value] for value in sorted(named))


def _dtype(values: set[int], name: str) -> str:
    for dtype in DTYPES:
        limits = np.iinfo(dtype)
        if all(limits.min <= value <= limits.max for value in values):
            return dtype
    raise LabelMismatch(f"{name} holds values that are too large for classes.")


def _geotiff(
    source: Source,
    cube: CubeInfo,
    dtype: str,
    nodata: int | None,
    classes: tuple[CubeClass, ...],
) -> bytes:
    _, rows, columns = cube.shape
    place: dict[str, Any] = {}
    if cube.transform is not None:
        place = {"transform": rasterio.Affine(*cube.transform), "crs": cube.crs_wkt}
    with MemoryFile() as memory, warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with memory.open(
            driver="GTiff", width=columns, height=rows, count=1, dtype=dtype, nodata=nodata,
            tiled=True, blockxsize=TILE, blockysize=TILE, compress="deflate", BIGTIFF="IF_SAFER",
            **place,
        ) as dataset:  # fmt: skip
            for strip in _strips(source):
                labels, empty = _read(source, strip, "")
                values = np.where(empty, nodata or 0, labels).astype(dtype)
                window = Window(0, strip.start, columns, strip.stop - strip.start)
                dataset.write(values, 1, window=window)
            if dtype == "uint8":
                dataset.write_colormap(1, _colours(classes))
            dataset.update_tags(1, **{f"CLASS_{each.value}": each.title for each in classes})
        return bytes(memory.getbuffer())


def _colours(classes: tuple[CubeClass, ...]) -> dict[int, tuple[int, ...]]:
    return {
        each.value: (*bytes.fromhex(each.colour), 255) for each in classes if 0 <= each.value <= 255
    }

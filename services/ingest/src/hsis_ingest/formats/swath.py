"""The outline of a cube that has a latitude and a longitude for each pixel, but no even grid."""

import math

import h5py

from hsis_ingest.formats.hdf5_array import Hdf5Array
from hsis_ingest.formats.hdf5_file import Hdf5File
from hsis_ingest.formats.source import Outline, ReadOptions

LATITUDES = frozenset({"lat", "latitude", "latitude_vnir"})
LONGITUDES = frozenset({"lon", "longitude", "longitude_vnir"})


def swath_outline(
    file: Hdf5File,
    datasets: dict[str, h5py.Dataset],
    rows: int,
    columns: int,
    options: ReadOptions,
) -> Outline | None:
    """The positions of the corner pixels; None where there are none of `rows` x `columns`, or one
    of the four is no place."""
    latitudes, longitudes = (
        _only(datasets, names, (rows, columns)) for names in (LATITUDES, LONGITUDES)
    )
    if latitudes is None or longitudes is None:
        return None
    corners = [(0, 0), (rows - 1, 0), (rows - 1, columns - 1), (0, columns - 1)]
    outline = tuple(
        zip(
            _values(file, longitudes, corners, options),
            _values(file, latitudes, corners, options),
            strict=True,
        )
    )
    if all(math.isfinite(x) and abs(x) <= 180 and abs(y) <= 90 for x, y in outline):
        return outline
    return None


def _only(
    datasets: dict[str, h5py.Dataset], names: frozenset[str], shape: tuple[int, int]
) -> h5py.Dataset | None:
    found = [
        dataset
        for path, dataset in datasets.items()
        if path.rpartition("/")[2].lower() in names
        and dataset.shape == shape
        and dataset.dtype.kind == "f"
    ]
    return found[0] if len(found) == 1 else None


def _values(
    file: Hdf5File, dataset: h5py.Dataset, places: list[tuple[int, int]], options: ReadOptions
) -> list[float]:
    array = Hdf5Array(file, dataset, options)
    return [
        float(array.read((slice(0, 1), slice(row, row + 1), slice(column, column + 1)))[0, 0, 0])
        for row, column in places
    ]

"""What a stored cube is: its description, its shapes, and the Zarr v3 documents that say so.

The choices and what was measured for them are in docs/decisions/0003-stored-cube.md.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsis.contracts.metadata import MAX_BANDS
from hsis.cube.classes import CubeClass, cf_attributes, classes_of_cf
from hsis.cube.gains import Gain, each, gain_of

ARRAY = "cube"
INNER_CHUNK = (16, 128, 128)
"""Bands, rows, columns of the unit of compression and of the smallest read."""
SHARD_ROWS, SHARD_COLUMNS = 256, 512
SHARD_BANDS_MIN, SHARD_BANDS_MAX = 112, 128
OVERVIEW_MIN_PIXELS = 512
"""A cube gets overviews until the longer side is at most this many pixels."""

MAX_SHAPE = (MAX_BANDS, 2**31 - 1, 2**31 - 1)
"""Bands, rows, columns of a cube: none larger is stored, and a document that says more is no
cube's."""

BAND_SCALE, BAND_OFFSET = "band_scale", "band_offset"
BAND_COORDINATES = ("wavelength_nm", "fwhm_nm", "good_band", BAND_SCALE, BAND_OFFSET)
PHYSICAL_VALUES, BY_BAND = "physical_values", f"stored * {BAND_SCALE} + {BAND_OFFSET}"
"""The attribute of a cube whose bands have scales and offsets of their own, and its text. A file
without it may have arrays of such names that mean something else."""

Shape = tuple[int, int, int]
Transform = tuple[float, float, float, float, float, float]
"""Affine pixel-to-CRS coefficients (a, b, c, d, e, f): X = a x + b y + c, Y = d x + e y + f, with
(x, y) = (0, 0) at the outer corner of the upper left pixel (rasterio's order)."""

ZARR_DTYPES = frozenset(
    f"{kind}{bits}"
    for kind, sizes in (
        ("int", (8, 16, 32, 64)),
        ("uint", (8, 16, 32, 64)),
        ("float", (32, 64)),
        ("complex", (64, 128)),
    )
    for bits in sizes
)


@dataclass(frozen=True, slots=True)
class CubeInfo:
    """Everything that describes a cube but its values. Lists have one entry a band.

    `nodata` is in stored units; a physical value is `stored * scale + offset` in `unit`, the
    band's own where these differ (`hsis.cube.gains`). Where there are `classes`, stored values
    stand for them and have no mean.
    """

    shape: Shape
    dtype: np.dtype[Any]
    wavelengths_nm: tuple[float, ...] | None = None
    fwhm_nm: tuple[float, ...] | None = None
    good_bands: tuple[bool, ...] | None = None
    band_names: tuple[str, ...] | None = None
    unit: str | None = None
    scale: Gain = 1.0
    offset: Gain = 0.0
    nodata: float | None = None
    crs_wkt: str | None = None
    transform: Transform | None = None
    classes: tuple[CubeClass, ...] = ()

    def __post_init__(self) -> None:
        if self.dtype.name not in ZARR_DTYPES:
            raise ValueError(f"dtype {self.dtype} cannot be stored; one of {sorted(ZARR_DTYPES)}")
        for name in ("wavelengths_nm", "fwhm_nm", "good_bands", "band_names"):
            values = getattr(self, name)
            if values is not None and len(values) != self.shape[0]:
                raise ValueError(f"{len(values)} {name} for {self.shape[0]} bands; one each")
        for name in ("scale", "offset"):
            count = len(each(getattr(self, name), self.shape[0]))
            if count != self.shape[0]:
                raise ValueError(f"{count} of {name} for {self.shape[0]} bands; one each, or one")

    @property
    def bands(self) -> int:
        """Number of bands."""
        return self.shape[0]

    @property
    def good(self) -> tuple[bool, ...]:
        """Whether each band is fit for use; all are where nothing is said."""
        return self.good_bands or (True,) * self.shape[0]

    @property
    def is_scaled(self) -> bool:
        """Whether stored values are others than the physical ones."""
        return (self.scale, self.offset) != (1.0, 0.0)

    @property
    def gains_differ(self) -> bool:
        """Whether bands have scales or offsets of their own."""
        return isinstance(self.scale, tuple) or isinstance(self.offset, tuple)

    @property
    def scales(self) -> tuple[float, ...]:
        """The scale of each band."""
        return each(self.scale, self.shape[0])

    @property
    def offsets(self) -> tuple[float, ...]:
        """The offset of each band."""
        return each(self.offset, self.shape[0])


def shard_shape(shape: Shape) -> Shape:
    """The shape of the shards of a cube: whole inner chunks, 112 to 128 bands x 256 x 512 at most.

    A cube of up to 128 bands has one shard of bands; a deeper one takes the number of bands from
    112 to 128 that wastes least. A side shorter than a shard gets a shard of one chunk more.
    """
    chunk = INNER_CHUNK
    if shape[0] <= SHARD_BANDS_MAX:
        bands = _round_up(shape[0], chunk[0])
    else:
        sizes = range(SHARD_BANDS_MIN, SHARD_BANDS_MAX + 1, chunk[0])
        bands = min(sizes, key=lambda size: (_round_up(shape[0], size), -size))
    rows = min(SHARD_ROWS, _round_up(shape[1], chunk[1]))
    columns = min(SHARD_COLUMNS, _round_up(shape[2], chunk[2]))
    return bands, rows, columns


def shard_indices(shape: Shape) -> Iterator[Shape]:
    """The grid positions (band, y, x) of a cube's shards, x fastest."""
    counts = [math.ceil(size / step) for size, step in zip(shape, shard_shape(shape), strict=True)]
    yield from ((b, y, x) for b, y, x in product(*map(range, counts)))


def shard_slices(shape: Shape, index: Shape) -> tuple[slice, slice, slice]:
    """The part of the cube that a shard holds, clipped to the cube."""
    b, y, x = (
        slice(i * step, min((i + 1) * step, size))
        for i, step, size in zip(index, shard_shape(shape), shape, strict=True)
    )
    return b, y, x


def shard_key(index: Shape, factor: int = 1) -> str:
    """The shard's key below the store's root; `factor` 2, 4, … names an overview."""
    return f"{array_path(factor)}/c/{index[0]}/{index[1]}/{index[2]}"


def array_path(factor: int = 1) -> str:
    """The array of full resolution, or of an overview reduced by `factor` along y and x."""
    return ARRAY if factor == 1 else f"overviews/{factor}"


def overview_factors(shape: Shape) -> list[int]:
    """The reductions that a cube is also stored in: 2, 4, … until 512 pixels are not exceeded."""
    factors: list[int] = []
    factor = 1
    while math.ceil(max(shape[1:]) / factor) > OVERVIEW_MIN_PIXELS:
        factor *= 2
        factors.append(factor)
    return factors


def overview_shape(shape: Shape, factor: int) -> Shape:
    """The shape of an overview; a last pixel may cover fewer than factor x factor pixels."""
    return shape[0], math.ceil(shape[1] / factor), math.ceil(shape[2] / factor)


def store_documents(
    info: CubeInfo,
    attributes: Mapping[str, Any] | None = None,
    separators: Mapping[str, str] | None = None,
) -> dict[str, bytes]:
    """Every object of the store but the shards, by key below its root, `zarr.json` last.

    A store is complete once `zarr.json` is there: write it after the shards. `attributes` are the
    root's beside its own. `separators` of the coordinates on `band`, `/` or `.`, choose under which
    of two keys their values lie, so that other values can be stored beside those in use.
    """
    chosen = separators or {}
    arrays = {ARRAY: _cube_array(info.shape, info, 1)}
    factors = overview_factors(info.shape)
    groups: dict[str, dict[str, Any]] = {}
    if factors:
        groups["overviews"] = {"zarr_format": 3, "node_type": "group", "attributes": {}}
    for factor in factors:
        arrays[array_path(factor)] = _cube_array(overview_shape(info.shape, factor), info, factor)
    documents: dict[str, bytes] = {}
    for name, (values, own, dims) in _coordinates(info).items():
        arrays[name] = _plain_array(values, own, dims, chosen.get(name, "/"))
        little = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
        key = coordinate_key(name, arrays[name]) if values.ndim else f"{name}/c"
        documents[key] = little.tobytes()
    nodes = {**groups, **arrays}
    for path, document in nodes.items():
        documents[f"{path}/zarr.json"] = _json(document)
    documents["zarr.json"] = _json(
        {
            "zarr_format": 3,
            "node_type": "group",
            "attributes": {"Conventions": "CF-1.12, ACDD-1.3"} | dict(attributes or {}),
            "consolidated_metadata": {
                "kind": "inline",
                "must_understand": False,
                "metadata": nodes,
            },
        }
    )
    return documents


def info_of_documents(root: Mapping[str, Any], coordinates: Mapping[str, NDArray[Any]]) -> CubeInfo:
    """The description of a cube from its root `zarr.json` and its coordinate arrays by name.

    KeyError, TypeError or ValueError where they are not a cube's.
    """
    array = root["consolidated_metadata"]["metadata"][ARRAY]
    attributes = array["attributes"]
    spatial = root["consolidated_metadata"]["metadata"].get("spatial_ref", {}).get("attributes", {})
    geo = spatial.get("GeoTransform")
    c, a, b, f, d, e = map(float, geo.split()) if geo else (0.0,) * 6
    bands, rows, columns = array["shape"]
    for size, most in zip((bands, rows, columns), MAX_SHAPE, strict=True):
        if type(size) is not int or not 0 < size <= most:
            raise ValueError(f"a cube of the shape {array['shape']}; 1 to {most} of each is right")

    def listed(name: str, kind: type) -> Any:
        return tuple(map(kind, coordinates[name].tolist())) if name in coordinates else None

    def gain(name: str, attribute: str, default: float) -> Gain:
        if name in coordinates:
            return gain_of(coordinates[name].tolist())
        return float(attributes.get(attribute, default))

    return CubeInfo(
        shape=(bands, rows, columns),
        dtype=np.dtype(array["data_type"]),
        wavelengths_nm=listed("wavelength_nm", float),
        fwhm_nm=listed("fwhm_nm", float),
        good_bands=listed("good_band", bool),
        band_names=tuple(attributes["band_names"]) if "band_names" in attributes else None,
        unit=attributes.get("units"),
        scale=gain(BAND_SCALE, "scale", 1.0),
        offset=gain(BAND_OFFSET, "offset", 0.0),
        nodata=_nodata_from_json(attributes.get("nodata")),
        crs_wkt=spatial.get("crs_wkt"),
        transform=(a, b, c, d, e, f) if geo else None,
        classes=classes_of_cf(attributes),
    )


def coordinate_names(root: Mapping[str, Any]) -> list[str]:
    """The per-band coordinate arrays that a store has."""
    nodes = root["consolidated_metadata"]["metadata"]
    return [name for name in BAND_COORDINATES if name in nodes]


def coordinate_key(name: str, node: Mapping[str, Any]) -> str:
    """Where the values of a coordinate array of one axis lie, below the root: what its metadata
    say. KeyError or TypeError where they say nothing."""
    return f"{name}/c{node['chunk_key_encoding']['configuration']['separator']}0"


def plain_values(node: Mapping[str, Any], content: bytes) -> NDArray[Any]:
    """The values of a coordinate array from its metadata and its only chunk."""
    dtype = np.dtype(node["data_type"]).newbyteorder("<")
    return np.frombuffer(content, dtype).reshape(node["shape"])


def _round_up(size: int, step: int) -> int:
    return math.ceil(size / step) * step


def _json(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, allow_nan=False, separators=(",", ":")).encode()


def _nodata_to_json(nodata: float) -> float | str:
    return nodata if math.isfinite(nodata) else str(nodata)


def _nodata_from_json(nodata: float | str | None) -> float | None:
    return None if nodata is None else float(nodata) if isinstance(nodata, str) else nodata


def _cube_array(shape: Shape, info: CubeInfo, factor: int) -> dict[str, Any]:
    little_endian = {"name": "bytes", "configuration": {"endian": "little"}}
    if info.dtype.itemsize == 1:
        little_endian = {"name": "bytes"}
    codecs = [
        little_endian,
        {
            "name": "blosc",
            "configuration": {
                "cname": "lz4",
                "clevel": 5,
                "shuffle": "bitshuffle",
                "typesize": info.dtype.itemsize,
                "blocksize": 0,
            },
        },
    ]
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(shape),
        "data_type": info.dtype.name,
        "chunk_grid": {
            "name": "regular",
            "configuration": {"chunk_shape": list(shard_shape(shape))},
        },
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": [0.0, 0.0] if info.dtype.kind == "c" else 0,
        "codecs": [
            {
                "name": "sharding_indexed",
                "configuration": {
                    "chunk_shape": list(INNER_CHUNK),
                    "codecs": codecs,
                    "index_codecs": [
                        {"name": "bytes", "configuration": {"endian": "little"}},
                        {"name": "crc32c"},
                    ],
                    "index_location": "start",
                },
            }
        ],
        "attributes": _cube_attributes(info, factor),
        "dimension_names": ["band", "y", "x"],
        "storage_transformers": [],
    }


def _cube_attributes(info: CubeInfo, factor: int) -> dict[str, Any]:
    # Not CF's scale_factor and _FillValue: readers would turn stored integers into floats, and
    # the promise of the store is the original values.
    attributes: dict[str, Any] = (
        {PHYSICAL_VALUES: BY_BAND}
        if info.gains_differ
        else {"scale": info.scale, "offset": info.offset}
    )
    if info.unit is not None:
        attributes["units"] = info.unit
    if info.nodata is not None:
        attributes["nodata"] = _nodata_to_json(info.nodata)
    if info.classes:
        attributes |= cf_attributes(info.classes)
    if factor > 1:
        return attributes | {"reduced_by": factor}
    if info.band_names is not None:
        attributes["band_names"] = list(info.band_names)
    names = [name for name in _coordinates(info) if name not in {"band", "y", "x"}]
    if names:
        attributes["coordinates"] = " ".join(names)
    if "spatial_ref" in names:
        attributes["grid_mapping"] = "spatial_ref"
    return attributes


def _coordinates(info: CubeInfo) -> dict[str, tuple[NDArray[Any], dict[str, Any], list[str]]]:
    bands, rows, columns = info.shape
    found: dict[str, tuple[NDArray[Any], dict[str, Any], list[str]]] = {
        "band": (np.arange(1, bands + 1, dtype=np.int32), {"long_name": "band number"}, ["band"])
    }
    if info.wavelengths_nm is not None:
        attributes = {"standard_name": "radiation_wavelength", "units": "nm"}
        found["wavelength_nm"] = (np.array(info.wavelengths_nm, np.float64), attributes, ["band"])
    if info.fwhm_nm is not None:
        attributes = {"long_name": "full width at half maximum", "units": "nm"}
        found["fwhm_nm"] = (np.array(info.fwhm_nm, np.float64), attributes, ["band"])
    if info.good_bands is not None:
        attributes = {"long_name": "band is fit for use"}
        found["good_band"] = (np.array(info.good_bands, np.bool_), attributes, ["band"])
    if info.gains_differ:
        attributes = {"long_name": "what stored values of the band are multiplied by"}
        found[BAND_SCALE] = (np.array(info.scales, np.float64), attributes, ["band"])
        attributes = {"long_name": "what is added to scaled values of the band"}
        found[BAND_OFFSET] = (np.array(info.offsets, np.float64), attributes, ["band"])
    if info.transform is None:
        return found
    a, b, c, d, e, f = info.transform
    geo = {"GeoTransform": f"{c!r} {a!r} {b!r} {f!r} {d!r} {e!r}"}
    if info.crs_wkt is not None:
        geo |= {"crs_wkt": info.crs_wkt, "spatial_ref": info.crs_wkt}
    found["spatial_ref"] = (np.array(0, np.int32), geo, [])
    if b == 0 and d == 0:
        found["y"] = (f + e * (np.arange(rows) + 0.5), {"axis": "Y"}, ["y"])
        found["x"] = (c + a * (np.arange(columns) + 0.5), {"axis": "X"}, ["x"])
    return found


def _plain_array(
    values: NDArray[Any], attributes: dict[str, Any], dims: list[str], separator: str
) -> dict[str, Any]:
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(values.shape),
        "data_type": values.dtype.name,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(values.shape)}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": separator}},
        "fill_value": False if values.dtype.kind == "b" else 0,
        "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
        "attributes": attributes,
        "dimension_names": dims,
        "storage_transformers": [],
    }

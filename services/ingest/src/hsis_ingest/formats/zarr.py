"""Zarr stores, version 2 and 3, in a zip file: a named array, or the only one of three axes, with
what is said beside it by the CF conventions, as xarray writes it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from numpy.typing import NDArray
from rasterio.crs import CRS

from hsis.cube.gains import Gain
from hsis.cube.layout import BY_BAND, PHYSICAL_VALUES, CubeInfo, Transform
from hsis_ingest.errors import (
    DecompressionBomb,
    UnknownFormat,
    UnsupportedFormat,
    VariableNeeded,
)
from hsis_ingest.formats import zarr_said as said
from hsis_ingest.formats.array_cube import cube_of
from hsis_ingest.formats.axis_names import (
    FWHM_NAMES,
    GOOD_BAND_NAMES,
    WAVELENGTH_NAMES,
    axes_of_names,
    lengths_nm,
    nanometres,
)
from hsis_ingest.formats.cf_grid import even_step, gdal_transform, grid_of_steps, normal_wkt
from hsis_ingest.formats.gains import OFFSET_NAMES, SCALE_NAMES, gains_by_band
from hsis_ingest.formats.source import NO_PROPERTIES, ByteSource, ReadOptions, parse_time
from hsis_ingest.formats.zarr_array import ZarrArray, small_values
from hsis_ingest.formats.zarr_node import ZarrNode, node_v2, node_v3, parsed
from hsis_ingest.formats.zip_members import ZipMembers

FORMAT = "Zarr"
DOCUMENTS = ("zarr.json", ".zgroup", ".zarray")
TIME_ATTRIBUTES = ("time_coverage_start", "start_time", "acquisition_time")
GEOGRAPHIC = ({"lat", "latitude"}, {"lon", "longitude"})


class ZarrSource:
    """An opened array of a zipped Zarr store."""

    format_name = FORMAT
    outline = None
    properties = NO_PROPERTIES

    def __init__(self, data: ByteSource, options: ReadOptions) -> None:
        self._data = data
        self._options = options
        self._members = ZipMembers(data, options)
        self._root = _root(self._members, data.name)
        self._nodes, attributes = self._read_nodes()
        node = self._chosen()
        where = f"{data.name}: {node.path.rstrip('/') or '/'}"
        array = ZarrArray(data, self._members, node, options)
        rank = min(3, len(node.shape))
        names = node.dimensions[-rank:]
        named = axes_of_names(names) if rank == 3 else None
        self._cube = cube_of(array.read, array.shape[-rank:], options, where, named=named)
        self.axes = array.thin_first(self._cube.axes) if rank == 3 else self._cube.axes
        by_axis = dict(zip(self._cube.axes, names, strict=False))
        folder = node.path.rstrip("/").rpartition("/")[0]
        self._folder = f"{folder}/" if folder else ""
        bands = self._cube.cube_shape[0]
        coordinates = {axis: self._beside(name) for axis, name in by_axis.items()}
        wavelengths, factor = self._wavelengths(bands, coordinates.get("b"))
        crs_wkt, transform = self._place(node, coordinates)
        scale, offset = self._gains(node, bands, where)
        self.info = CubeInfo(
            shape=self._cube.cube_shape,
            dtype=array.dtype,
            wavelengths_nm=wavelengths,
            fwhm_nm=self._widths(bands, factor),
            good_bands=self._good_bands(bands),
            unit=said.text(node.attributes, "units"),
            band_names=said.band_names(node, bands),
            scale=scale,
            offset=offset,
            nodata=said.nodata(node),
            classes=said.classes(node, where),
            crs_wkt=crs_wkt,
            transform=transform,
        )
        self.acquired_at: datetime | None = None
        for name in TIME_ATTRIBUTES:
            found = said.text(attributes, name) or said.text(node.attributes, name)
            self.acquired_at = self.acquired_at or parse_time(found)

    def read(self, bands: slice, rows: slice, columns: slice) -> NDArray[Any]:
        """A window, shape (band, y, x)."""
        return self._cube.read(bands, rows, columns)

    def close(self) -> None:
        """Nothing is held."""

    def _read_nodes(self) -> tuple[dict[str, ZarrNode], Mapping[str, Any]]:
        """The arrays by their paths in the store, and the attributes of its root."""
        paths = [
            name
            for name in self._members.names
            if name.startswith(self._root) and name.rpartition("/")[2] in {"zarr.json", ".zarray"}
        ]
        if len(paths) > self._options.hdf5_max_objects:
            raise DecompressionBomb(
                f"{self._data.name} has {len(paths)} arrays and groups; at most "
                f"{self._options.hdf5_max_objects} are read (setting hdf5_max_objects)."
            )
        paths.sort(key=self._members.position)
        attributes = self._document(self._root + ".zattrs")
        nodes: dict[str, ZarrNode] = {}
        for name, content in zip(paths, self._members.contents(paths), strict=True):
            where = f"{self._data.name}: {name}"
            document = parsed(content, where)
            path = name.removesuffix("zarr.json").removesuffix(".zarray")
            inside = path.removeprefix(self._root).rstrip("/")
            if name.endswith(".zarray"):
                nodes[inside] = node_v2(path, document, self._document(path + ".zattrs"), where)
            elif document.get("node_type") == "array":
                nodes[inside] = node_v3(path, document, where)
            elif not inside and isinstance(document.get("attributes"), dict):
                attributes = document["attributes"]
        return nodes, attributes

    def _document(self, name: str) -> dict[str, Any]:
        if name not in self._members:
            return {}
        return parsed(next(self._members.contents([name])), f"{self._data.name}: {name}")

    def _chosen(self) -> ZarrNode:
        """The array that holds the cube: the named one, else the only numeric one of three axes,
        or that of the outermost group: overviews lie deeper."""
        name, wanted = self._data.name, self._options.variable
        numbers = {path: each for path, each in self._nodes.items() if _numeric(each)}
        cubes = {path: each for path, each in numbers.items() if _rank(each) == 3}
        flat = {path: each for path, each in numbers.items() if _rank(each) == 2}
        told = ", ".join(_tell(path, each) for path, each in (cubes or flat).items()) or "none"
        if wanted is not None:
            found = self._nodes.get(wanted.strip("/"))
            if found is None:
                raise VariableNeeded(f"{name} has no array {wanted!r}; it has {told}.")
            if not _numeric(found):
                raise UnsupportedFormat(f"{name}: {wanted} holds no numbers.")
            return found
        if self._options.axes is not None and len(self._options.axes) == 2 and len(flat) == 1:
            return next(iter(flat.values()))
        least = min((path.count("/") for path in cubes), default=0)
        outer = [each for path, each in cubes.items() if path.count("/") == least]
        if len(outer) == 1:
            return outer[0]
        if cubes:
            raise VariableNeeded(f"Give `variable`: the candidates in {name} are {told}.")
        if flat:
            raise VariableNeeded(
                f"{name} holds no array of three axes. Give `variable` and `rows` and `columns`; "
                f"candidates: {told}."
            )
        raise UnsupportedFormat(f"{name} holds no arrays of numbers with three axes.")

    def _beside(self, name: str | None) -> ZarrNode | None:
        """The array of that name in the cube's group, else in the root."""
        if not name:
            return None
        inside = self._folder.removeprefix(self._root)
        return self._nodes.get(inside + name) or self._nodes.get(name)

    def _values(
        self, names: frozenset[str], bands: int, coordinate: ZarrNode | None = None
    ) -> tuple[NDArray[Any] | None, ZarrNode | None]:
        """Of the array of one value a band that has one of `names`: the axis's own one, that in
        the cube's group, or the only one."""
        fitting = [
            each
            for each in self._nodes.values()
            if each.name.lower() in names and each.shape == (bands,)
        ]
        near = [each for each in fitting if each.path.startswith(self._folder)]
        own = [each for each in fitting if each is coordinate]
        for found in (own, near, fitting):
            if len(found) == 1:
                values = small_values(self._data, self._members, found[0], self._options)
                return values, found[0]
        return None, None

    def _wavelengths(
        self, bands: int, coordinate: ZarrNode | None
    ) -> tuple[tuple[float, ...] | None, float | None]:
        """In nanometres, and how many are in one of the file's unit."""
        values, node = self._values(WAVELENGTH_NAMES, bands, coordinate)
        if values is None or node is None:
            return None, None
        factor = nanometres(said.text(node.attributes, "units"), values)
        return lengths_nm(values, factor, f"{self._data.name}: {node.path}"), factor

    def _widths(self, bands: int, factor: float | None) -> tuple[float, ...] | None:
        values, node = self._values(FWHM_NAMES, bands)
        if values is None or node is None:
            return None
        unit = said.text(node.attributes, "units")
        where = f"{self._data.name}: {node.path}"
        return lengths_nm(values, nanometres(unit, values) if unit else factor, where)

    def _good_bands(self, bands: int) -> tuple[bool, ...] | None:
        values, _ = self._values(GOOD_BAND_NAMES, bands)
        return None if values is None else tuple(bool(flag == 1) for flag in values)

    def _gains(self, node: ZarrNode, bands: int, where: str) -> tuple[Gain, Gain]:
        """Scale and offset, by band where the cube says so as HSIS's own do."""
        if said.text(node.attributes, PHYSICAL_VALUES) == BY_BAND:
            found = [self._values(names, bands)[0] for names in (SCALE_NAMES, OFFSET_NAMES)]
            return gains_by_band(found[0], found[1], where)
        return (
            said.gain(node, ("scale_factor", "scale"), 1.0, bands, where),
            said.gain(node, ("add_offset", "offset"), 0.0, bands, where),
        )

    def _place(
        self, node: ZarrNode, coordinates: Mapping[str, ZarrNode | None]
    ) -> tuple[str | None, Transform | None]:
        """CRS as WKT and the transform, by the grid mapping (rioxarray's is `spatial_ref`)."""
        mapped = said.text(node.attributes, "grid_mapping") or "spatial_ref"
        mapping = self._beside(mapped.split(":")[0].strip())
        attributes = mapping.attributes if mapping is not None else node.attributes
        crs_wkt = normal_wkt(
            said.text(attributes, "crs_wkt") or said.text(attributes, "spatial_ref")
        )
        axes = [coordinates.get(axis) for axis in "yx"]
        steps = [
            None
            if each is None
            else even_step(small_values(self._data, self._members, each, self._options))
            for each in axes
        ]
        transform = grid_of_steps(steps[0], steps[1]) or gdal_transform(
            said.text(attributes, "GeoTransform")
        )
        geographic = all(
            each is not None and each.name.lower() in names
            for each, names in zip(axes, GEOGRAPHIC, strict=True)
        )
        if transform is not None and crs_wkt is None and geographic:
            crs_wkt = CRS.from_epsg(4326).to_wkt()
        return crs_wkt, transform


def _root(members: ZipMembers, where: str) -> str:
    """The folder of the store in the zip file: that of its outermost document."""
    folders = [
        name[: -len(document)]
        for name in members.names
        for document in DOCUMENTS
        if name.rpartition("/")[2] == document
    ]
    if not folders:
        raise UnknownFormat(
            f"{where} is a zip file without a Zarr store: it has no zarr.json, .zarray or .zgroup."
        )
    return min(folders, key=lambda folder: (folder.count("/"), folder))


def _numeric(node: ZarrNode) -> bool:
    return node.coding.dtype.kind in "iufc"


def _rank(node: ZarrNode) -> int:
    """Number of axes without leading ones of one element; 0 where the array is empty."""
    lead = max(0, len(node.shape) - 3)
    if 0 in node.shape or any(size != 1 for size in node.shape[:lead]):
        return 0
    return len(node.shape) - lead


def _tell(path: str, node: ZarrNode) -> str:
    return f"{path or '/'} ({' x '.join(map(str, node.shape))} {node.coding.dtype})"

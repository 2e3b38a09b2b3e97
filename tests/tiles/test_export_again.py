"""An export that is uploaded again is the same cube, as far as its format says."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from rasterio.crs import CRS

from hsis.cube.gains import Gain
from hsis.cube.layout import CubeInfo
from hsis_ingest.formats.source import Source
from hsis_tiles.export import envi, matlab, matlab73, netcdf, npy, tiff
from hsis_tiles.export.blocks import ExportFile
from hsis_tiles.export.selection import Selection
from tests.hsis_cube.blobs import random_values, stored
from tests.ingest.files import open_files, whole
from tests.tiles.test_export_layouts import export, same

MOST = 400_000
VALUES = random_values((9, 40, 50), "int16")
DESCRIPTION = CubeInfo(
    VALUES.shape,
    VALUES.dtype,
    wavelengths_nm=tuple(450.5 + 10.25 * band for band in range(9)),
    fwhm_nm=tuple(5.0 + 0.125 * band for band in range(9)),
    good_bands=tuple(band != 4 for band in range(9)),
    band_names=tuple(f"band {band}" for band in range(9)),
    unit="W m-2 sr-1 nm-1",
    nodata=-9999.0,
    crs_wkt=CRS.from_epsg(32633).to_wkt(),
    transform=(30.0, 0.0, 500_000.0, 0.0, -30.0, 5_000_000.0),
)
WAVELENGTHS = {"wavelengths_nm"}
WIDTHS = WAVELENGTHS | {"fwhm_nm"}
VALUE_FIELDS = {"scale", "offset", "nodata"}
PLACE = {"crs_wkt", "transform"}
Make = Callable[[CubeInfo, Selection], list[ExportFile]]


EACH_BAND = tuple(0.5**band for band in range(9)), tuple(-0.25 * (band % 2) for band in range(9))


@pytest.mark.parametrize("gains", [(0.0001, -0.25), EACH_BAND], ids=["of all", "of each"])
@pytest.mark.parametrize(
    ("make", "kept"),
    [
        (
            lambda i, c: envi.envi_files("a", i, c, interleave="bil", max_bytes=MOST),
            WIDTHS | VALUE_FIELDS | PLACE | {"good_bands", "band_names"},
        ),
        (
            lambda i, c: [tiff.tiff_file("a", i, i, c, overviews=True, max_bytes=MOST)],
            WIDTHS | VALUE_FIELDS | PLACE | {"good_bands", "band_names", "unit"},
        ),
        (
            lambda i, c: [netcdf.netcdf_file("a", i, c, max_bytes=MOST)],
            WIDTHS | VALUE_FIELDS | PLACE | {"good_bands", "unit"},
        ),
        (lambda i, c: [matlab.mat_file("a", i, c, axes="yxb", max_bytes=MOST)], WAVELENGTHS),
        (lambda i, c: [matlab73.mat73_file("a", i, c, axes="yxb", max_bytes=MOST)], WIDTHS),
        (lambda i, c: [npy.npy_file("a", i, c, axes="yxb", max_bytes=MOST)], set()),
    ],
)
def test_what_was_exported_is_read_again(
    tmp_path: Path, make: Make, kept: set[str], gains: tuple[Gain, Gain]
) -> None:
    names = {field.name for field in dataclasses.fields(CubeInfo)} - {"shape", "dtype"}
    described = {name: getattr(DESCRIPTION, name) for name in names}
    described |= {"scale": gains[0], "offset": gains[1]}
    blobs = stored(tmp_path / "store", VALUES, **described)
    folder = tmp_path / "files"
    folder.mkdir()
    export(blobs, folder, make)
    source: Source = open_files(*sorted(folder.iterdir()))
    try:
        assert same(whole(source), VALUES)
        for name in kept - {"crs_wkt"} - WIDTHS:
            assert getattr(source.info, name) == described[name], name
        for name in kept & WIDTHS:  # a GeoTIFF says them in micrometres too
            expected = pytest.approx(described[name], rel=1e-15)
            assert getattr(source.info, name) == expected, name
        if "crs_wkt" in kept:
            assert source.info.crs_wkt is not None
            assert CRS.from_wkt(source.info.crs_wkt).to_epsg() == 32633
    finally:
        source.close()

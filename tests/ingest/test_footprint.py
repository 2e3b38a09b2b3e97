"""Footprints against pyproj's engine through rasterio, and by hand."""

import numpy as np
import pytest
import shapely
from rasterio.crs import CRS
from rasterio.warp import transform_bounds

from hsis.cube.layout import CubeInfo
from hsis_ingest.footprint import footprint


def info(crs, transform, shape=(1, 100, 200)):
    return CubeInfo(
        shape=shape,
        dtype=np.dtype("u1"),
        crs_wkt=None if crs is None else CRS.from_string(crs).to_wkt(),
        transform=transform,
    )


def test_utm():
    found = footprint(info("EPSG:32633", (30, 0, 367935, 0, -30, 5805165)))
    bounds = transform_bounds(
        "EPSG:32633", "EPSG:4326", 367935, 5805165 - 3000, 367935 + 6000, 5805165
    )
    assert found.bbox == pytest.approx(bounds, abs=1e-6)
    assert found.proj_code == "EPSG:32633"
    ring = found.geometry["coordinates"][0]
    assert ring[0] == ring[-1]
    assert len(ring) == 5


def test_degrees_stay_degrees():
    found = footprint(info("EPSG:4326", (0.01, 0, 13, 0, -0.01, 53)))
    assert found.bbox == pytest.approx((13, 52, 15, 53))
    assert found.geometry["coordinates"][0][:3] == pytest.approx(
        [pytest.approx((13, 53)), pytest.approx((13, 52)), pytest.approx((15, 52))]
    )


def test_a_turned_cube():
    # Turned by 90 degrees: columns go south, rows go west.
    found = footprint(info("EPSG:4326", (0, -0.01, 13, -0.01, 0, 53)))
    assert found.bbox == pytest.approx((12, 51, 13, 53))


def test_across_the_antimeridian():
    found = footprint(info("EPSG:32660", (100, 0, 700000, 0, -100, 1000000), (1, 100, 2000)))
    west, south, east, north = found.bbox
    assert 175 < west <= 180
    assert -180 <= east < -175
    assert south < north
    assert found.geometry["type"] == "MultiPolygon"


@pytest.mark.parametrize(
    ("west", "east", "expected"),
    [
        (-180, 180, (-180, 180)),
        (-100, 100, (-100, 100)),
        (0, 360, (-180, 180)),
        (179.5, 180.5, (179.5, -179.5)),
        (5, 355, (5, -5)),
        (-200, -170, (160, -170)),
    ],
)
def test_any_longitudes(west, east, expected):
    step = (east - west) / 200
    found = footprint(info("EPSG:4326", (step, 0, west, 0, -0.2, 10)))
    assert found.bbox == pytest.approx((expected[0], -10, expected[1], 10))
    assert shapely.geometry.shape(found.geometry).is_valid
    assert shapely.geometry.shape(found.geometry).area == pytest.approx((east - west) * 20)


@pytest.mark.parametrize(("crs", "pole"), [("EPSG:3995", 90), ("EPSG:3031", -90)])
def test_around_a_pole(crs, pole):
    found = footprint(info(crs, (1e4, 0, -1e6, 0, -1e4, 1e6), (1, 200, 200)))
    west, south, east, north = found.bbox
    assert (west, east) == (-180, 180)
    assert (north if pole > 0 else -south) == 90
    covered = shapely.geometry.shape(found.geometry)
    assert covered.is_valid
    assert covered.contains(shapely.Point(123.4, pole * 0.98))
    assert not covered.contains(shapely.Point(123.4, pole * 0.7))


@pytest.mark.parametrize(
    ("crs", "transform"),
    [(None, (1, 0, 0, 0, -1, 0)), ("EPSG:32633", None), ("EPSG:32633", (1e9, 0, 1e12, 0, -1, 0))],
)
def test_nowhere(crs, transform):
    assert footprint(info(crs, transform)) is None

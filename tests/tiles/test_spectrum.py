"""GET /cubes/{collection}/{item}/spectrum against numpy."""

import numpy as np
import pytest

from hsis.clients.tiles import TilesClient
from hsis.cube.layout import CubeInfo
from hsis_tiles.spectrum import spectrum_document, told_values
from tests.tiles.conftest import COLLECTION, Tiles

RANDOM = np.random.default_rng(7)


async def test_stored_integers_are_answered_exactly(tiles: Tiles) -> None:
    values = RANDOM.integers(-(2**62), 2**62, (20, 130, 140))
    path = await tiles.store("integers", values, nodata=float(values[3, 129, 139]))
    answer = await tiles.get(f"{path}/spectrum", params={"x": 139, "y": 100})
    assert answer.status_code == 200
    assert answer.json() == {
        "x": 139,
        "y": 100,
        "wavelengths_nm": None,
        "values": values[:, 100, 139].tolist(),
        "unit": None,
        "good_bands": [True] * 20,
    }


async def test_values_are_as_stored_or_scaled_and_bands_described(tiles: Tiles) -> None:
    values = RANDOM.integers(0, 10_000, (4, 30, 50)).astype(np.int16)
    values[2, 7, 9] = -9999
    path = await tiles.store(
        "scaled",
        values,
        wavelengths_nm=(460.0, 550.25, 640.0, 900.0),
        good_bands=(True, True, False, True),
        unit="reflectance",
        scale=0.0001,
        offset=-0.1,
        nodata=-9999.0,
    )
    client = TilesClient(tiles.http, "")
    found = await client.spectrum(COLLECTION, "scaled", 9, 7, token=tiles.admin_token)
    assert found.wavelengths_nm == [460.0, 550.25, 640.0, 900.0]
    assert found.good_bands == [True, True, False, True]
    assert found.unit == "reflectance"
    assert found.values[2] is None
    stored = values[[0, 1, 3], 7, 9]
    assert [found.values[band] for band in (0, 1, 3)] == stored.tolist()
    answer = await tiles.get(f"{path}/spectrum", params={"x": 9, "y": 7, "scaled": True})
    scaled = answer.json()["values"]
    assert scaled[2] is None
    expected = stored.astype(float) * 0.0001 - 0.1
    assert [scaled[band] for band in (0, 1, 3)] == pytest.approx(expected, rel=1e-12)
    assert path == f"/cubes/{COLLECTION}/scaled"


async def test_nan_and_infinity_are_null(tiles: Tiles) -> None:
    values = np.array([[[1.1]], [[np.nan]], [[np.inf]], [[-0.25]]], np.float32)
    path = await tiles.store("floats", values)
    answer = await tiles.get(f"{path}/spectrum", params={"x": 0, "y": 0})
    assert answer.json()["values"] == [float(np.float32(1.1)), None, None, -0.25]


@pytest.mark.parametrize(("x", "y"), [(-1, 0), (50, 0), (0, 30), (0, -1), (10**30, 0)])
async def test_a_pixel_outside_is_told_the_valid_range(tiles: Tiles, x: int, y: int) -> None:
    answer = await tiles.get(f"/cubes/{COLLECTION}/scaled/spectrum", params={"x": x, "y": y})
    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "x must be 0 to 49 and y 0 to 29" in answer.json()["detail"]


async def test_coordinates_must_be_numbers(tiles: Tiles) -> None:
    answer = await tiles.get(f"/cubes/{COLLECTION}/scaled/spectrum", params={"x": "a"})
    assert answer.status_code == 400
    assert "query.x" in answer.json()["detail"]
    assert "query.y" in answer.json()["detail"]


def test_complex_values_are_told_by_their_magnitude() -> None:
    info = CubeInfo((2, 1, 1), np.dtype("complex64"))
    assert told_values(np.array([3 + 4j, np.nan], np.complex64), info) == [5.0, None]


def test_nodata_of_complex_values_is_the_stored_value() -> None:
    info = CubeInfo((3, 1, 1), np.dtype("complex64"), nodata=5.0)
    assert told_values(np.array([3 + 4j, 5, 5j], np.complex64), info) == [5.0, None, 5.0]


def test_values_beyond_a_float_are_null() -> None:
    info = CubeInfo((3, 1, 1), np.dtype("float64"), scale=10.0, offset=-1.0)
    stored = np.array([1.7e308, -1.7e308, 0.5])
    assert told_values(stored, info, scaled=True) == [None, None, 4.0]
    assert told_values(stored, info) == [1.7e308, -1.7e308, 0.5]


def test_magnitudes_beyond_the_stored_dtype_are_told() -> None:
    info = CubeInfo((2, 1, 1), np.dtype("complex64"))
    [large, small] = told_values(np.array([3e38 + 3e38j, 3 + 4j], np.complex64), info)
    assert large == pytest.approx(4.2426e38, rel=1e-4)
    assert small == 5.0
    double = CubeInfo((1, 1, 1), np.dtype("complex128"))
    assert told_values(np.array([1.7e308 + 1.7e308j]), double) == [None]


def test_unknown_wavelengths_are_left_out() -> None:
    info = CubeInfo((2, 1, 1), np.dtype("u1"), wavelengths_nm=(500.0, float("nan")))
    assert spectrum_document(info, 0, 0, np.zeros(2, "u1"))["wavelengths_nm"] is None

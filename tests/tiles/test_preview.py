"""GET /cubes/{collection}/{item}/preview.png against pictures worked out with numpy."""

import io
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from hsis.cube.classes import CubeClass
from hsis.cube.layout import CubeInfo
from hsis.cube.statistics import CubeStatistics
from hsis_tiles.render import Stretch, fitting_factor, limits_of
from tests.tiles.conftest import COLLECTION, Tiles

RANDOM = np.random.default_rng(11)
VALUES = RANDOM.normal(1000, 200, (5, 60, 90)).astype(np.float32)
VALUES[1, 3, 4] = np.nan
WAVELENGTHS = (465.0, 545.0, 645.0, 800.0, 1000.0)


def pixels(answer: httpx.Response) -> NDArray[np.uint8]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "image/png"
    image = Image.open(io.BytesIO(answer.content))
    assert (image.format, image.mode) == ("PNG", "RGBA")
    return np.asarray(image)


def grey(band: NDArray[Any], low: float, high: float) -> NDArray[Any]:
    return np.clip((band.astype(float) - low) / (high - low) * 255, 0, 255)


@pytest.fixture(scope="module")
async def path(tiles: Tiles) -> str:
    """A small cube without overviews, so that a preview has the cube's own pixels."""
    return await tiles.store("picture", VALUES, wavelengths_nm=WAVELENGTHS)


def check(image: NDArray[np.uint8], bands: list[int], limits: list[tuple[float, float]]) -> None:
    valid = np.isfinite(VALUES[bands]).all(axis=0)
    np.testing.assert_array_equal(image[..., 3], np.where(valid, 255, 0))
    for channel, (band, (low, high)) in enumerate(zip(bands, limits, strict=True)):
        expected = grey(VALUES[band], low, high)
        difference = np.abs(image[..., channel].astype(float) - expected)[valid]
        assert difference.max() <= 0.501


def percentiles(bands: list[int], low: float, high: float) -> list[tuple[float, float]]:
    return [tuple(np.nanpercentile(VALUES[band].astype(float), [low, high])) for band in bands]


async def test_natural_colour_at_2_to_98_percent_by_default(tiles: Tiles, path: str) -> None:
    image = pixels(await tiles.get(f"{path}/preview.png"))
    assert image.shape == (60, 90, 4)
    check(image, [2, 1, 0], percentiles([2, 1, 0], 2, 98))


async def test_classes_have_their_colours(tiles: Tiles) -> None:
    values = RANDOM.integers(0, 4, (1, 600, 700), np.uint8)
    classes = (CubeClass(1, "soil", "AA5500"), CubeClass(3, "corn", "00FF7F"))
    path = await tiles.store("classes", values, nodata=0, classes=classes)
    image = pixels(await tiles.get(f"{path}/preview.png"))
    expected = np.zeros((600, 700, 4), np.uint8)
    expected[values[0] == 1] = (0xAA, 0x55, 0x00, 255)
    expected[values[0] == 3] = (0x00, 0xFF, 0x7F, 255)
    np.testing.assert_array_equal(image, expected)
    small = pixels(await tiles.get(f"{path}/preview.png", params={"size": "100"})).reshape(-1, 4)
    assert {tuple(pixel) for pixel in small.tolist()} == {
        (0, 0, 0, 0),
        (0xAA, 0x55, 0x00, 255),
        (0x00, 0xFF, 0x7F, 255),
    }
    stretched = pixels(await tiles.get(f"{path}/preview.png", params={"stretch": "0,3"}))
    assert (stretched[..., 0] == stretched[..., 1]).all()


async def test_chosen_bands_and_percentiles(tiles: Tiles, path: str) -> None:
    # U+001D is a blank to Python, but not to `int`: found by fuzzing.
    query = {"bands": "5,2\x1d, 4", "stretch": "10-90.5"}
    check(
        pixels(await tiles.get(f"{path}/preview.png", params=query)),
        [4, 1, 3],
        percentiles([4, 1, 3], 10, 90.5),
    )


async def test_one_band_is_grey(tiles: Tiles, path: str) -> None:
    query = {"bands": "4", "stretch": "minmax"}
    image = pixels(await tiles.get(f"{path}/preview.png", params=query))
    limits = (float(VALUES[3].min()), float(VALUES[3].max()))
    check(image, [3, 3, 3], [limits] * 3)


async def test_explicit_values(tiles: Tiles, path: str) -> None:
    query = {"bands": "1,3,5", "stretch": "-5e1,1200.5"}
    image = pixels(await tiles.get(f"{path}/preview.png", params=query))
    check(image, [0, 2, 4], [(-50, 1200.5)] * 3)


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ({"bands": "0"}, "numbered 1 to 5"),
        ({"bands": "1,2,6"}, "numbered 1 to 5"),
        ({"bands": "1,2"}, "`r,g,b`"),
        ({"bands": "red"}, "`r,g,b`"),
        ({"stretch": "98-2"}, "`minmax`"),
        ({"stretch": "2-101"}, "`minmax`"),
        ({"stretch": "5,5"}, "`low,high`"),
        ({"stretch": "1,1e999"}, "`low,high`"),
        ({"stretch": "linear"}, "`2-98`"),
        ({"size": "0"}, "1 to 2048"),
        ({"size": "5000"}, "1 to 2048"),
    ],
)
async def test_wrong_choices_are_told_what_is_right(
    tiles: Tiles, path: str, query: dict[str, str], told: str
) -> None:
    answer = await tiles.get(f"{path}/preview.png", params=query)
    assert answer.status_code == 400
    assert told in answer.json()["detail"]


async def test_a_large_cube_is_drawn_from_its_overview(tiles: Tiles) -> None:
    values = np.zeros((1, 600, 1200), np.uint8)
    values[:, :, 600:] = 200
    path = await tiles.store("large-picture", values)
    query = {"stretch": "0,255", "size": "600"}
    image = pixels(await tiles.get(f"{path}/preview.png", params=query))
    assert image.shape == (300, 600, 4)
    expected = np.tile(np.where(np.arange(600) < 300, 0, 200), (300, 1))
    np.testing.assert_array_equal(image[..., 0], expected)
    query["size"] = "100"
    assert pixels(await tiles.get(f"{path}/preview.png", params=query)).shape == (50, 100, 4)


@pytest.mark.parametrize(
    ("size", "factor"), [(2048, 1), (2000, 1), (1999, 1), (1000, 2), (500, 4), (499, 4), (10, 4)]
)
def test_the_smallest_overview_that_is_large_enough(size: int, factor: int) -> None:
    info = CubeInfo((1, 300, 2000), np.dtype("u1"))  # overviews of 1000 and 500 columns
    assert fitting_factor(info, size) == factor


def test_percentiles_leave_the_stored_nodata_of_complex_values_out() -> None:
    statistics = CubeStatistics(pixels=3, sampled_pixels=3, bands=[])
    values = np.array([[[3 + 4j, 5, 30]]], np.complex64)
    found = limits_of(Stretch(percentiles=(0.0, 100.0)), statistics, [0], values, 30.0)
    assert found == [(5.0, 5.0)]
    found = limits_of(Stretch(percentiles=(0.0, 100.0)), statistics, [0], values, 5.0)
    assert found == [(5.0, 30.0)]


async def test_statistics_are_those_stored(tiles: Tiles, path: str) -> None:
    answer = await tiles.get(f"{path}/statistics")
    assert answer.status_code == 200
    found = answer.json()
    assert found["pixels"] == 60 * 90
    second = found["bands"][1]
    assert second["valid_count"] == 60 * 90 - 1
    assert second["mean"] == pytest.approx(np.nanmean(VALUES[1].astype(float)))
    assert second["p98"] == pytest.approx(np.nanpercentile(VALUES[1].astype(float), 98))
    assert f"/cubes/{COLLECTION}/picture" == path

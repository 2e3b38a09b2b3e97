"""Choice of bands and stretch."""

import io

import numpy as np
import pytest
from PIL import Image

from hsis.cube.layout import CubeInfo
from hsis.cube.picture import band_limits, encode, natural_colour_bands, stretch
from hsis.cube.statistics import BandStatistics, CubeStatistics


def info(
    bands: int,
    wavelengths: tuple[float, ...] | None = None,
    good: tuple[bool, ...] | None = None,
) -> CubeInfo:
    return CubeInfo((bands, 2, 2), np.dtype("u1"), wavelengths_nm=wavelengths, good_bands=good)


def test_natural_colour_by_wavelength() -> None:
    wavelengths = (400.0, 465.0, 545.0, 560.0, 638.0, 700.0)
    assert natural_colour_bands(info(6, wavelengths)) == (4, 2, 1)
    good = (True, True, False, True, True, True)
    assert natural_colour_bands(info(6, wavelengths, good)) == (4, 3, 1)


def test_bands_without_visible_light_are_first_middle_last_good() -> None:
    assert natural_colour_bands(info(5, (1000.0, 1100.0, 1200.0, 1300.0, 1400.0))) == (0, 2, 4)
    assert natural_colour_bands(info(5, None, (False, True, True, True, False))) == (1, 2, 3)
    assert natural_colour_bands(info(2)) == (0,)
    assert natural_colour_bands(info(3, None, (False,) * 3)) == (0, 1, 2)


def test_stretch_is_linear_and_clipped_and_hides_nodata() -> None:
    values = np.array([[[0, 10, 15, 20, 30, -1]]], np.int16)
    image = stretch(values, [(10.0, 20.0)], -1.0)
    assert image.shape == (1, 6, 4)
    assert image[0, :, 0].tolist() == [0, 0, 128, 255, 255, 0]
    assert (image[..., 0] == image[..., 1]).all()
    assert image[0, :, 3].tolist() == [255] * 5 + [0]


def test_nodata_of_complex_values_is_the_stored_value() -> None:
    values = np.array([[[-9999, 3 + 4j, 10]]], np.complex64)
    image = stretch(values, [(0.0, 10.0)], -9999.0)
    assert image[0].tolist() == [[0] * 4, [128] * 3 + [255], [255] * 4]
    image = stretch(values, [(0.0, 10.0)], 5.0)
    assert image[0, :, 3].tolist() == [255] * 3


def test_each_colour_has_its_own_limits() -> None:
    values = np.array([[[1.0]], [[2.0]], [[np.nan]]])
    image = stretch(values, [(0, 1), (0, 4), (0, 1)], None)
    assert image[0, 0].tolist() == [0, 0, 0, 0]
    values[2] = 0.5
    image = stretch(values, [(0, 1), (0, 4), (0, 1)], None)
    assert image[0, 0].tolist() == [255, 128, 128, 255]


def test_limits_of_flat_and_empty_bands() -> None:
    def band(number: int, *found: float | None) -> BandStatistics:
        low, p2, p98, high = found
        return BandStatistics(
            band=number, valid_count=1, min=low, max=high, mean=0, std=0, p2=p2, p98=p98
        )

    statistics = CubeStatistics(
        pixels=1,
        sampled_pixels=1,
        bands=[band(1, 0, 1, 5, 9), band(2, 0, 4, 4, 9), band(3, None, None, None, None)],
    )
    assert band_limits(statistics, [0, 1, 2]) == [(1, 5), (0, 9), (0, 1)]


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_a_picture_keeps_its_proportions(kind: str) -> None:
    image = np.full((40, 100, 4), 200, np.uint8)
    found = Image.open(io.BytesIO(encode(image, kind, 50)))
    assert (found.format, found.size) == (kind, (50, 20))

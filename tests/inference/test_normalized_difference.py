"""The normalized difference by hand and by NumPy."""

import numpy as np
import pytest

from hsis.errors import InvalidInput
from hsis_inference.device import Device
from hsis_inference.processes.base import Plan
from hsis_inference.processes.normalized_difference import NormalizedDifference
from tests.inference.scenes import info_of, plan_of, run

ND = NormalizedDifference()
WAVELENGTHS = (450.0, 640.0, 655.0, 850.0, 870.0)


def test_values_by_hand(cpu: Device) -> None:
    cube = np.array([[[3, 0, 5, 2, -9]], [[1, 0, -5, -9, 2]]], np.int16)
    plan = plan_of(ND, info_of(cube, nodata=-9), band_a=1, band_b=2)
    found = run(ND, plan, cube, cpu)[0, 0]
    np.testing.assert_array_equal(found, np.array([0.5, np.nan, np.nan, np.nan, np.nan]))
    assert found.dtype == np.float32


def test_physical_values_over_several_blocks(cpu: Device) -> None:
    cube = np.random.default_rng(1).integers(0, 60000, (5, 260, 520), dtype=np.uint16)
    info = info_of(cube, wavelengths_nm=WAVELENGTHS, scale=0.5, offset=10.0)
    found = run(ND, plan_of(ND, info), cube, cpu)[0]
    a, b = cube[3] * 0.5 + 10, cube[2] * 0.5 + 10  # 850 is nearer to 860 than 870: the first
    np.testing.assert_array_equal(found, ((a - b) / (a + b)).astype(np.float32))


def test_bands_with_scales_of_their_own(cpu: Device) -> None:
    cube = np.random.default_rng(2).integers(1, 60000, (5, 20, 30), dtype=np.uint16)
    scales, offsets = (0.1, 0.2, 0.025, 0.0125, 0.5), (0.0, 0.0, -3.0, 0.25, 0.0)
    info = info_of(cube, wavelengths_nm=WAVELENGTHS, scale=scales, offset=offsets)
    plan = plan_of(ND, info)
    assert (plan.scale, plan.offset) == ((0.0125, 0.025), (0.25, -3.0))
    kept = Plan.model_validate_json(plan.model_dump_json())  # as with the job
    found = run(ND, kept, cube, cpu)[0]
    a, b = cube[3] * 0.0125 + 0.25, cube[2] * 0.025 - 3
    np.testing.assert_array_equal(found, ((a - b) / (a + b)).astype(np.float32))
    assert plan_of(ND, info, band_a=5, band_b=1).scale == (0.5, 0.1)


def test_bands_by_wavelength() -> None:
    cube = np.ones((5, 1, 1))
    info = info_of(cube, wavelengths_nm=WAVELENGTHS, good_bands=(True, True, False, True, True))
    assert plan_of(ND, info).bands == (3, 1)
    assert plan_of(ND, info, wavelength_a_nm=880, band_b=3).bands == (4, 2)


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"wavelength_a_nm": 2200}, "wavelength_a_nm: the good band nearest to 2200 nm is band 5"),
        ({"band_b": 6}, "band_b: there is no band 6"),
        ({"band_a": 2, "band_b": 2}, "two different bands"),
    ],
)
def test_wrong_inputs(inputs: dict[str, object], words: str) -> None:
    info = info_of(np.ones((5, 1, 1)), wavelengths_nm=WAVELENGTHS)
    with pytest.raises(InvalidInput) as raised:
        plan_of(ND, info, **inputs)
    assert words in raised.value.detail


def test_a_cube_without_wavelengths_needs_band_numbers() -> None:
    with pytest.raises(InvalidInput, match="band_a and band_b"):
        plan_of(ND, info_of(np.ones((5, 1, 1))))

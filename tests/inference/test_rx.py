"""RX against NumPy on all pixels at once."""

import numpy as np
import pytest
from numpy.typing import NDArray

from hsis.errors import InvalidInput
from hsis_inference.device import Device
from hsis_inference.errors import NotEnoughPixels
from hsis_inference.processes.rx import Rx
from tests.inference.scenes import info_of, plan_of, run

RX = Rx()


def distances(pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Squared Mahalanobis distances of pixels (band, pixel) from their mean."""
    centred = pixels - pixels.mean(axis=1, keepdims=True)
    inverse = np.linalg.pinv(np.cov(pixels), hermitian=True)
    return np.einsum("ip,ij,jp->p", centred, inverse, centred, optimize=True)


def scene() -> NDArray[np.float32]:
    random = np.random.default_rng(11)
    mixing = random.normal(0, 1, (6, 6))
    values = mixing @ random.normal(0, 1, (6, 300 * 600)) + 1e4  # a mean far from 0
    return values.reshape(6, 300, 600).astype(np.float32)


def test_distances_over_several_blocks(cpu: Device) -> None:
    cube = scene()
    cube[:, 10, 20] += 30
    cube[1, 5, 6] = np.nan
    cube[4, 299, 599] = -1
    found = run(RX, plan_of(RX, info_of(cube, nodata=-1)), cube, cpu)
    valid = np.isfinite(cube).all(axis=0) & (cube != -1).all(axis=0)
    np.testing.assert_array_equal(np.isnan(found[0]), ~valid)
    expected = distances(cube[:, valid].astype(np.float64))
    np.testing.assert_allclose(found[0][valid], expected, rtol=1e-4)
    assert np.unravel_index(np.nanargmax(found[0]), found[0].shape) == (10, 20)


def test_the_order_in_which_blocks_are_done_does_not_matter(cpu: Device) -> None:
    cube = scene()
    plan = plan_of(RX, info_of(cube))
    first = run(RX, plan, cube, cpu)
    again = run(RX, plan, cube, cpu, order=[3, 0, 2, 1])
    assert first.tobytes() == again.tobytes()


def test_a_singular_covariance_takes_the_pseudoinverse(cpu: Device) -> None:
    random = np.random.default_rng(3)
    two = random.normal(0, 1, (2, 20, 30))
    cube = np.concatenate([two, two.sum(axis=0, keepdims=True), np.full((1, 20, 30), 5.0)])
    found = run(RX, plan_of(RX, info_of(cube)), cube, cpu)[0]
    np.testing.assert_allclose(found.ravel(), distances(cube.reshape(4, -1)), rtol=1e-5)


def test_a_constant_cube_has_no_anomaly(cpu: Device) -> None:
    cube = np.full((3, 4, 5), 7, np.int16)
    assert (run(RX, plan_of(RX, info_of(cube)), cube, cpu) == 0).all()


def test_scale_and_offset_do_not_change_it(cpu: Device) -> None:
    cube = np.random.default_rng(5).integers(0, 900, (3, 30, 40), dtype=np.uint16)
    plain = run(RX, plan_of(RX, info_of(cube)), cube, cpu)
    scaled = run(RX, plan_of(RX, info_of(cube, scale=0.01, offset=-3.0)), cube, cpu)
    np.testing.assert_allclose(scaled, plain, rtol=1e-5)


def test_too_few_valid_pixels(cpu: Device) -> None:
    cube = np.full((2, 3, 3), np.nan, np.float32)
    cube[:, 0, 0] = 1
    with pytest.raises(NotEnoughPixels, match="1 pixels are valid"):
        run(RX, plan_of(RX, info_of(cube)), cube, cpu)


def test_bands() -> None:
    info = info_of(np.ones((3, 2, 2)), good_bands=(True, False, True))
    assert plan_of(RX, info).bands == (0, 2)
    assert plan_of(RX, info, bands=[2]).bands == (1,)
    with pytest.raises(InvalidInput, match="no good band"):
        plan_of(RX, info_of(np.ones((1, 2, 2)), good_bands=(False,)))
    with pytest.raises(InvalidInput, match="complex64"):
        plan_of(RX, info_of(np.ones((1, 2, 2), np.complex64)))

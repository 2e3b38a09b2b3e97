"""Spectral angles against NumPy on the original values."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from numpy.typing import NDArray

from hsis.contracts.spectra import Spectrum
from hsis.errors import InvalidInput
from hsis_inference.device import Device
from hsis_inference.processes.sam import Sam
from tests.inference.scenes import info_of, plan_of, run

SAM = Sam()
WAVELENGTHS = (400.0, 500.0, 600.0, 700.0)


def angles(spectra: NDArray[np.float64], pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of spectra (n, band) to pixels (band, pixel)."""
    cosines = (spectra @ pixels) / np.outer(
        np.linalg.norm(spectra, axis=1), np.linalg.norm(pixels, axis=0)
    )
    return np.arccos(np.clip(cosines, -1, 1))


def given(*spectra: NDArray[np.float64]) -> list[dict[str, object]]:
    return [{"name": f"s{n}", "values": values.tolist()} for n, values in enumerate(spectra, 1)]


def stored(name: str, values: list[float], wavelengths: list[float] | None) -> Spectrum:
    return Spectrum(
        id="1",
        collection="lab",
        name=name,
        values=values,
        wavelengths_nm=wavelengths,
        created_at=datetime.now(UTC),
    )


def test_jasper_ridge(data_folder: Path, cpu: Device, capsys: pytest.CaptureFixture[str]) -> None:
    truth = scipy.io.loadmat(data_folder / "jasper_ridge" / "jasperRidge2_R198.mat")
    cube = truth["Y"].reshape(198, 100, 100, order="F")
    expected = angles(truth["M"].T, truth["Y"].astype(np.float64)).argmin(axis=0) + 1
    plan = plan_of(SAM, info_of(cube), spectra=given(*truth["M"].T))
    found = run(SAM, plan, cube, cpu)[0]
    np.testing.assert_array_equal(found, expected.reshape(100, 100, order="F"))
    right = (truth["A"].argmax(axis=0) + 1).reshape(100, 100, order="F")
    accuracy = float((found == right).mean())
    with capsys.disabled():
        print(f"\nSAM on Jasper Ridge: accuracy {accuracy:.3f} against argmax of A")
    assert accuracy > 0.7


def test_angles_and_classes_over_several_blocks(cpu: Device) -> None:
    random = np.random.default_rng(7)
    cube = random.integers(-300, 3000, (5, 300, 530)).astype(np.int16)
    cube[:, 3, 4] = 0
    cube[2, 5, 6] = -999
    info = info_of(cube, nodata=-999, scale=0.01, offset=2.5)
    spectra = random.random((3, 5))
    physical = cube.reshape(5, -1) * 0.01 + 2.5
    expected = angles(spectra, physical)
    plan = plan_of(SAM, info, spectra=given(*spectra), output="angle")
    found = run(SAM, plan, cube, cpu)
    assert np.isnan(found[:, 5, 6]).all()
    valid = (cube != -999).all(axis=0)
    np.testing.assert_allclose(found[:, valid], expected[:, valid.ravel()], rtol=1e-6)
    limit = float(np.median(expected.min(axis=0)))
    plan = plan_of(SAM, info, spectra=given(*spectra), max_angle_rad=limit)
    classes = np.where(expected.min(axis=0) <= limit, expected.argmin(axis=0) + 1, 0)
    classes = classes.reshape(300, 530)
    classes[5, 6] = 0
    np.testing.assert_array_equal(run(SAM, plan, cube, cpu)[0], classes)


def test_a_pixel_of_zeros_has_no_angle(cpu: Device) -> None:
    cube = np.zeros((2, 1, 2), np.float32)
    cube[:, 0, 1] = (0.0, 1.0)
    spectra = given(np.array([1.0, 0.0]), np.array([0.0, 2.0]))
    assert run(SAM, plan_of(SAM, info_of(cube), spectra=spectra), cube, cpu).tolist() == [[[0, 2]]]
    found = run(SAM, plan_of(SAM, info_of(cube), spectra=spectra, output="angle"), cube, cpu)
    assert np.isnan(found[:, 0, 0]).all()
    np.testing.assert_allclose(found[:, 0, 1], [np.pi / 2, 0])


def test_only_good_bands_unless_bands_are_given() -> None:
    info = info_of(np.ones((4, 2, 2)), good_bands=(True, False, True, True))
    spectra = given(np.array([1.0, 2.0, 3.0, 4.0]))
    assert plan_of(SAM, info, spectra=spectra).bands == (0, 2, 3)
    plan = plan_of(SAM, info, spectra=spectra, bands=[4, 2])
    assert plan.bands == (1, 3)
    assert plan.values["references"] == [[2.0, 4.0]]


def test_spectra_are_interpolated_to_the_cubes_wavelengths() -> None:
    info = info_of(np.ones((4, 2, 2)), wavelengths_nm=WAVELENGTHS)
    own = {"name": "a", "values": [0.0, 10.0, 40.0], "wavelengths_nm": [300, 500, 800]}
    library = [stored("b", [1.0, 8.0], [350.0, 700.0])]
    plan = plan_of(SAM, info, library, spectra=[own], library=["b"])
    expected = [np.interp(WAVELENGTHS, [300, 500, 800], [0, 10, 40]).tolist()]
    expected.append([2.0, 4.0, 6.0, 8.0])
    np.testing.assert_allclose(plan.values["references"], expected)
    assert [entry.title for entry in plan.result.classes] == ["a", "b"]
    assert [entry.value for entry in plan.result.classes] == [1, 2]


def test_a_spectrum_at_the_cubes_own_wavelengths_is_taken_as_it_is() -> None:
    info = info_of(
        np.ones((4, 2, 2)),
        wavelengths_nm=(400.0, 700.0, 600.0, 500.0),
        good_bands=(True, True, True, False),
    )
    clicked = {"name": "(1, 2)", "values": [1, 2, 3, None], "wavelengths_nm": [400, 700, 600, 500]}
    plan = plan_of(SAM, info, spectra=[clicked])
    assert plan.values["references"] == [[1.0, 2.0, 3.0]]
    assert [entry.title for entry in plan.result.classes] == ["(1, 2)"]


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({}, "`spectra`, `library`"),
        ({"spectra": given(np.ones(3))}, "3 values and no wavelengths_nm; 4 values"),
        ({"spectra": given(np.zeros(4))}, "is 0 in every band"),
        ({"spectra": [{"name": "x", "values": [1, None, 1, 1]}]}, "no value for band 2"),
        (
            {"spectra": [{"name": "x", "values": [1, 2], "wavelengths_nm": [450, 900]}]},
            "covers 450 to 900 nm; band 1 of the cube is at 400 nm",
        ),
        (
            {"spectra": [{"name": "x", "values": [1, 2], "wavelengths_nm": [450]}]},
            "2 values but 1 wavelengths_nm",
        ),
        ({"spectra": given(np.ones(4)) * 2}, "two have the name 's1'"),
        ({"spectra": given(np.ones(4)), "bands": [5]}, "no band 5; the cube has 1 to 4"),
        ({"spectra": given(np.ones(4)), "bands": [1, 1]}, "named twice"),
    ],
)
def test_wrong_inputs(inputs: dict[str, object], words: str) -> None:
    info = info_of(np.ones((4, 2, 2)), wavelengths_nm=WAVELENGTHS)
    with pytest.raises(InvalidInput) as raised:
        plan_of(SAM, info, **inputs)
    assert words in raised.value.detail

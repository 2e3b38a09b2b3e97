"""The synthetic scene: its files as another library reads them, and its truth."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import spectral.io.envi

from hsis_embedded.demo import NOISE_REFLECTANCE, REFLECTANCE_SCALE, make_scene, write_envi


@pytest.fixture(scope="module")
def scene():
    return make_scene()


def test_the_envi_files_hold_the_scene(scene, tmp_path: Path) -> None:
    header, data = write_envi(scene, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {header.name, data.name}
    image = spectral.io.envi.open(str(header), str(data))
    read = np.asarray(image.open_memmap(interleave="bsq"))
    assert read.dtype == np.uint16
    np.testing.assert_array_equal(read, scene.cube)
    np.testing.assert_allclose(image.bands.centers, scene.wavelengths_nm, rtol=0, atol=1e-9)
    np.testing.assert_allclose(image.bands.bandwidths, scene.fwhm_nm, rtol=0, atol=1e-9)
    assert image.bands.band_unit == "Nanometers"


def test_a_seed_gives_one_scene(scene) -> None:
    again = make_scene()
    for field in dataclasses.fields(scene):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(scene, field.name))
    assert not np.array_equal(make_scene(seed=8).cube, scene.cube)


def test_abundances_are_fractions_and_smooth(scene) -> None:
    assert scene.abundances.min() >= 0
    np.testing.assert_allclose(scene.abundances.sum(0), 1, rtol=0, atol=1e-12)
    neighbours = np.abs(np.diff(scene.abundances, axis=2)).mean()
    random_pairs = np.abs(scene.abundances - scene.abundances[:, ::-1, ::-1]).mean()
    assert neighbours < 0.2 * random_pairs
    assert set(np.unique(scene.abundances.argmax(0))) == set(range(len(scene.endmembers)))


def test_background_pixels_are_mixtures_with_the_stated_noise(scene) -> None:
    background = ~scene.anomaly_mask
    mixed = np.tensordot(scene.endmembers.T, scene.abundances, 1)
    residual = (scene.cube / REFLECTANCE_SCALE - mixed)[:, background]
    assert residual.std() == pytest.approx(NOISE_REFLECTANCE, rel=0.02)
    assert abs(residual.mean()) < NOISE_REFLECTANCE / 20


def test_the_anomaly_is_planted_and_stands_out(scene) -> None:
    mask = scene.anomaly_mask.ravel()
    assert mask.sum() == 6
    pixels = np.moveaxis(scene.cube, 0, 2).astype(float)
    planted = pixels[scene.anomaly_mask].mean(0) / REFLECTANCE_SCALE
    np.testing.assert_allclose(planted, scene.anomaly_spectrum, atol=5 * NOISE_REFLECTANCE)
    scores = spectral.rx(pixels).ravel()
    assert set(np.argsort(scores)[-6:]) == set(np.flatnonzero(mask))


def test_spectra_are_reflectances_and_differ_in_angle(scene) -> None:
    spectra = np.vstack([scene.endmembers, scene.anomaly_spectrum])
    assert spectra.min() > 0
    assert spectra.max() < 1
    assert scene.wavelengths_nm[[0, -1]].tolist() == [420.0, 2400.0]
    unit = spectra / np.linalg.norm(spectra, axis=1, keepdims=True)
    angles = np.degrees(np.arccos(np.clip(unit @ unit.T, -1, 1)))
    assert angles[np.triu_indices(len(spectra), 1)].min() > 5


def test_a_scene_too_small_for_an_anomaly_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 16"):
        make_scene(rows=8)

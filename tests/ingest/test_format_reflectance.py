"""Reflectance of a raw scene by its references, written by spectral and worked out by numpy."""

import numpy as np
import pytest
import spectral

from hsis.contracts.uploads import Calibration
from hsis.cube.panel_table import PanelTable
from hsis_ingest.errors import (
    HeaderMismatch,
    MetadataMismatch,
    MissingReference,
    ReferenceMismatch,
    UnsupportedFormat,
)
from hsis_ingest.formats.panels import WhitePanel
from tests.ingest.files import file_of, opened, whole

BANDS, SAMPLES, LINES = 24, 20, 9
WAVELENGTHS = list(np.linspace(400, 1000, BANDS))
RANDOM = np.random.default_rng(7)


def cube(lines, least, most):
    """Counts of a detector, shape (y, x, band)."""
    return RANDOM.integers(least, most, (lines, SAMPLES, BANDS)).astype(np.uint16)


SCENE, WHITE = cube(LINES, 600, 3000), cube(5, 3000, 4000)
DARK, WHITE_DARK = cube(4, 90, 110), cube(3, 50, 60)


def saved(folder, name, values, interleave="bil", **fields):
    """A header and its data of spectral."""
    metadata = {"wavelength": WAVELENGTHS, **fields}
    spectral.envi.save_image(
        str(folder / f"{name}.hdr"), values, dtype=values.dtype, ext=".raw",
        interleave=interleave, metadata=metadata,
    )  # fmt: skip
    return [file_of(folder / f"{name}.hdr"), file_of(folder / f"{name}.raw")]


def calibrated(*pairs, **options):
    files = [file for pair in pairs for file in pair]
    return opened(files, calibration=Calibration.REFLECTANCE, **options)


def expected(scene, white, dark, white_dark=None, ratio=1.0):
    """By numpy, shape (band, y, x)."""
    dark = dark.astype(float).mean(axis=0)
    under = dark if white_dark is None else white_dark.astype(float).mean(axis=0)
    return ((scene - dark) / (white.astype(float).mean(axis=0) - under) * ratio).transpose(2, 0, 1)


def test_gains_of_each_band_are_applied_before(tmp_path):
    gains = np.linspace(0.5, 2, BANDS)
    source = calibrated(
        saved(tmp_path, "DARKREF_leaf", DARK),
        saved(tmp_path, "WHITEREF_leaf", WHITE, **{"data gain values": list(gains)}),
        saved(tmp_path, "leaf", SCENE, **{"data offset values": list(range(BANDS))}),
    )
    by_hand = expected(SCENE + np.arange(BANDS), WHITE * gains, DARK)
    np.testing.assert_allclose(whole(source), by_hand, rtol=1e-6)
    assert (source.info.scale, source.info.offset) == (1, 0)


def panelled(folder, panel, **fields):
    return calibrated(
        saved(folder, "leaf", SCENE, **fields),
        saved(folder, "WHITEREF_leaf", WHITE, **fields),
        saved(folder, "DARKREF_leaf", DARK, **fields),
        panel=panel,
    )


def test_a_panel_of_one_number(tmp_path):
    source = panelled(tmp_path, WhitePanel(0.2))
    np.testing.assert_allclose(whole(source), expected(SCENE, WHITE, DARK) * 0.2, rtol=1e-6)
    assert source.properties["hsi:white_reflectance"] == 0.2
    assert source.properties["processing:lineage"] == (
        "(scene - dark) / (white - dark) x reflectance of white"
    )


TABLE = PanelTable((399.96, 700.0, 1000.0), (0.9, 0.99, 0.5))
SAID = [500 + 10 * band for band in range(BANDS)]


@pytest.mark.parametrize(
    ("panel", "header", "wavelengths"),
    [
        (WhitePanel(TABLE, "p.csv"), {}, WAVELENGTHS),
        (WhitePanel(TABLE, "p.csv", None, SAID), {}, WAVELENGTHS),
        (WhitePanel(TABLE, "p.csv", SAID, None), {}, SAID),
        (WhitePanel(TABLE, "p.csv", None, SAID), {"wavelength": []}, SAID),
    ],
    ids=["of the header", "before a template", "given", "of the template"],
)
def test_a_panel_by_wavelength(tmp_path, panel, header, wavelengths):
    source = panelled(tmp_path, panel, **header)
    rising = 0.9 + (np.array(wavelengths) - 399.96) / 300.04 * 0.09
    falling = 0.99 - (np.array(wavelengths) - 700) / 300 * 0.49
    of_bands = np.where(np.array(wavelengths) < 700, rising, falling)
    values = expected(SCENE, WHITE, DARK) * of_bands[:, None, None]
    np.testing.assert_allclose(whole(source), values, rtol=1e-6)
    np.testing.assert_allclose(source.properties["hsi:white_reflectance"], of_bands, atol=1e-6)
    assert source.properties["hsi:white_reflectance_file"] == "p.csv"


@pytest.mark.parametrize(
    ("panel", "header", "message"),
    [
        (WhitePanel(PanelTable((400, 999), (1, 1)), "p.csv"), {}, "band 24 is at 1000 nm"),
        (WhitePanel(PanelTable((401, 1000), (1, 1)), "p.csv"), {}, "from 401 to 1000 nm; band 1"),
        (WhitePanel(TABLE, "p.csv"), {"wavelength": []}, "have no wavelengths"),
        (WhitePanel(TABLE, "p.csv", [500.0]), {}, "24 bands of the scene have 1 wavelengths"),
    ],
)
def test_a_panel_that_does_not_reach_the_bands(tmp_path, panel, header, message):
    with pytest.raises(MetadataMismatch, match=message):
        panelled(tmp_path, panel, **header)


def test_a_panel_without_a_calibration(tmp_path):
    with pytest.raises(MissingReference, match="say both"):
        opened(saved(tmp_path, "leaf", SCENE), panel=WhitePanel(0.99))


@pytest.mark.parametrize("interleave", ["bil", "bip", "bsq"])
def test_a_capture_with_exposures(tmp_path, interleave):
    dated = {"acquisition date": "DATE(yyyy-mm-dd): 2018-01-24", "start time": "UTC TIME: 22:47:35"}
    source = calibrated(
        saved(tmp_path, "DARKREF_leaf", DARK, tint=8.0),
        saved(tmp_path, "WHITEREF_leaf", WHITE, interleave, tint=2.0),
        saved(tmp_path, "WhiteDarkRef_leaf", WHITE_DARK, tint=2.0),
        saved(tmp_path, "leaf", SCENE, interleave, tint=8.0, **dated),
    )
    values = whole(source)
    assert values.dtype == np.float32
    np.testing.assert_allclose(values, expected(SCENE, WHITE, DARK, WHITE_DARK, 2 / 8), rtol=1e-6)
    np.testing.assert_array_equal(source.read(slice(3, 9), slice(2, 5), slice(7, 11)),
                                  values[3:9, 2:5, 7:11])  # fmt: skip
    assert source.info.wavelengths_nm == pytest.approx(WAVELENGTHS)
    assert np.isnan(source.info.nodata)
    assert source.info.unit == "1"
    assert source.acquired_at.isoformat() == "2018-01-24T22:47:35+00:00"
    assert source.properties == {
        "processing:level": "L2",
        "processing:lineage": "(scene - dark) / (white - dark of white) x exposure of white / "
        "exposure of scene",
        "hsi:calibration": "reflectance",
        "hsi:calibration_files": [
            "WHITEREF_leaf.raw", "DARKREF_leaf.raw", "WhiteDarkRef_leaf.raw"
        ],
        "hsi:exposure_ratio": 0.25,
        "hsi:repaired_elements": 0,
        "hsi:lost_elements": 0,
    }  # fmt: skip


def test_two_cameras_with_exposures_of_their_own(tmp_path):
    cameras = {"vimg1": [1, 10], "vimg2": [11, BANDS], "tint2": 4.0}
    source = calibrated(
        saved(tmp_path, "leaf", SCENE, tint1=6.0, **cameras),
        saved(tmp_path, "WHITEREF_leaf", WHITE, tint1=2.0, **cameras),
        saved(tmp_path, "DARKREF_leaf", DARK),
    )
    ratio = np.where(np.arange(BANDS) < 10, 1 / 3, 1.0)
    np.testing.assert_allclose(whole(source), expected(SCENE, WHITE, DARK, ratio=ratio), rtol=1e-6)
    assert source.properties["hsi:exposure_ratio"] == [pytest.approx(1 / 3), 1.0]


def test_dead_elements_are_made_of_their_neighbours(tmp_path):
    white = WHITE.copy()
    white[:, 4, 10:13] = 80  # between bands 9 and 13
    white[:, 6, 0] = 0  # the first band: between samples 5 and 7
    white[:, :, 20] = 0  # a whole band
    white[:, 15, :] = 50  # a whole sample
    white[:, 0, 23] = 0  # the last band at the edge
    source = calibrated(
        saved(tmp_path, "leaf", SCENE),
        saved(tmp_path, "WHITEREF_leaf", white),
        saved(tmp_path, "DARKREF_leaf", DARK),
    )
    wanted = expected(SCENE, np.where(white < 200, WHITE, white), DARK)
    clean = wanted.copy()
    for band in (10, 11, 12):
        wanted[band, :, 4] = clean[9, :, 4] + (clean[13, :, 4] - clean[9, :, 4]) * (band - 9) / 4
    wanted[0, :, 6] = (clean[0, :, 5] + clean[0, :, 7]) / 2
    wanted[20] = (clean[19] + clean[21]) / 2
    wanted[:, :, 15] = (clean[:, :, 14] + clean[:, :, 16]) / 2
    wanted[23, :, 0] = clean[22, :, 0]
    wanted[20, :, 15] = np.nan  # a dead band crosses a dead sample: not one good neighbour
    values = whole(source)
    np.testing.assert_allclose(values, wanted, rtol=2e-6)
    dead = 3 + 1 + SAMPLES + BANDS - 1 + 1
    assert source.properties["hsi:repaired_elements"] == dead - 1
    assert source.properties["hsi:lost_elements"] == 1
    for window in [(11, 12, 4, 5), (0, 1, 6, 7), (20, 21, 0, 20), (22, 24, 15, 16)]:
        bands, columns = slice(*window[:2]), slice(*window[2:])
        part = source.read(bands, slice(1, 8), columns)
        np.testing.assert_array_equal(part, values[bands, 1:8, columns])
        assert part.flags.c_contiguous


def test_no_data_and_scaled_counts(tmp_path):
    scene = SCENE.astype(np.float32)
    scene[2, 3, 4] = -9999
    source = calibrated(
        saved(tmp_path, "leaf", scene, **{"data ignore value": -9999}),
        saved(tmp_path, "WHITEREF_x", WHITE, **{"reflectance scale factor": 2}),
        saved(tmp_path, "DARKREF_y", DARK),
    )
    wanted = expected(SCENE, WHITE / 2, DARK)
    wanted[4, 2, 3] = np.nan
    np.testing.assert_allclose(whole(source), wanted, rtol=1e-6)


def test_the_scene_alone_without_calibration(tmp_path):
    files = [
        *saved(tmp_path, "DARKREF_leaf", DARK),
        *saved(tmp_path, "leaf", SCENE),
        *saved(tmp_path, "REFLECTANCE_leaf", SCENE),
    ]
    source = opened(files)
    np.testing.assert_array_equal(whole(source), SCENE.transpose(2, 0, 1))
    assert not source.properties
    reference = opened(files[:2])
    np.testing.assert_array_equal(whole(reference), DARK.transpose(2, 0, 1))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"WHITEREF_leaf": None}, MissingReference, "needs the white reference of leaf"),
        ({"DARKREF_leaf": None}, MissingReference, r"needs the dark .* DARKREF_leaf\.hdr"),
        ({"leaf": None}, UnsupportedFormat, "one raw scene"),
        ({"other": {}}, UnsupportedFormat, r"leaf\.hdr, other\.hdr: one raw scene"),
        ({"DARKREF_a": {}, "DARKREF_leaf": None, "DARKREF_b": {}}, MissingReference, "not clear"),
        ({"WHITEREF_leaf": {"values": WHITE[:, :-1]}}, ReferenceMismatch, "24 bands x 19 samples"),
        ({"WHITEREF_leaf": {"tint": 2}}, ReferenceMismatch, "tint = 2, leaf.hdr no exposure"),
        ({"leaf": {"tint": 2}}, ReferenceMismatch, "leaf.hdr says tint = 2, WHITEREF_leaf.hdr no"),
        ({"leaf": {"tint": 2}, "DARKREF_leaf": {"tint": 3}}, ReferenceMismatch, "says tint = 3"),
        (
            {"leaf": {"tint": 2}, "WHITEREF_leaf": {"integration time": 2}},
            ReferenceMismatch,
            "so the same unit",
        ),
        ({"leaf": {"tint": 0}, "WHITEREF_leaf": {"tint": 2}}, HeaderMismatch, "tint = 0"),
        ({"leaf": {"tint1": 1, "tint2": 2}}, HeaderMismatch, "two exposure times"),
        ({"WHITEREF_leaf": {"values": DARK}}, ReferenceMismatch, "no brighter than"),
        ({"WHITEREF_leaf": {"wavelength": range(BANDS)}}, ReferenceMismatch, "wavelengths"),
    ],
)  # fmt: skip
def test_captures_that_cannot_be(tmp_path, changes, error, message):
    wanted = {"leaf": {"values": SCENE}, "WHITEREF_leaf": {"values": WHITE}}
    wanted["DARKREF_leaf"] = {"values": DARK}
    pairs = []
    for name in dict.fromkeys([*wanted, *changes]):
        change = changes.get(name, {})
        if change is not None:
            pairs.append(
                saved(tmp_path, name, **{"values": DARK, **wanted.get(name, {}), **change})
            )
    with pytest.raises(error, match=message):
        calibrated(*pairs)


def test_only_an_envi_scene_can_be_calibrated(tmp_path):
    np.save(tmp_path / "a.npy", SCENE)
    with pytest.raises(MissingReference, match="no ENVI header"):
        calibrated([file_of(tmp_path / "a.npy")])
    with pytest.raises(MissingReference, match=r"white reference of leaf\.hdr"):
        calibrated(saved(tmp_path, "leaf", SCENE))

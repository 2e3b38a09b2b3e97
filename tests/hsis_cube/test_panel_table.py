"""Certificates of white panels as people and makers write them."""

import pytest

from hsis.cube.panel_table import PanelTable, parse_panel_table
from hsis.errors import InvalidInput


@pytest.mark.parametrize(
    ("text", "wavelengths", "reflectance"),
    [
        ("400 0.98\n500 0.99\n", [400, 500], [0.98, 0.99]),
        ("500;0,99\n400;0,98\n", [400, 500], [0.98, 0.99]),
        ("0.25,0.95\n2.5,0.93\n", [250, 2500], [0.95, 0.93]),
        ("Wavelength (nm),Reflectance factor\n50,0.5\n", [50], [0.5]),
        ("no,reflectance [%],wavelength_um\n1,99.1,0.4\n2,98,0.5\n", [400, 500], [0.991, 0.98]),
        ("# SRT-99\nwavelength\t8deg hemispherical Reflectance\n400\t1.02\n", [400], [1.02]),
    ],
)
def test_what_is_read(text: str, wavelengths: list[float], reflectance: list[float]):
    found = parse_panel_table(text.encode(), "panel.csv")
    assert found.wavelengths_nm == pytest.approx(wavelengths)
    assert found.reflectance == pytest.approx(reflectance)
    assert isinstance(found, PanelTable)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no line"),
        ("wavelength,reflectance\n", "no line"),
        ("400\n500\n", "line 1: 1 columns without names"),
        ("400,1,1\n", "line 1: 3 columns without names"),
        ("wavelength,gain\n400,1\n", "`reflectance` are right"),
        ("400,0.99\n500\n", "line 2: 1 columns"),
        ("400,0.99\n400,0.98\n", "line 2: the wavelength 400 comes twice"),
        ("400,99.1\n", "'99.1'; a number above 0 to 1.2 \\(percent"),
        ("wavelength,reflectance %\n400,121\n", "to 120"),
        ("400,0\n", "the reflectance '0'"),
        ("400,nan\n", "the reflectance 'nan'"),
        ("-400,0.9\n", "the wavelength '-400'; a number above 0 is right"),
        ("400,abc\n", "the reflectance 'abc'"),
    ],
)
def test_what_is_refused(text: str, message: str):
    with pytest.raises(InvalidInput, match=message):
        parse_panel_table(text.encode(), "panel.csv")

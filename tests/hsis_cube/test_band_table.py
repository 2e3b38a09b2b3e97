"""Lists of bands as people and spreadsheets write them."""

import pytest

from hsis.cube.band_table import parse_band_table
from hsis.errors import InvalidInput


@pytest.mark.parametrize(
    ("text", "wavelengths", "fwhm", "good", "unit"),
    [
        ("450\n550.5\n", [450, 550.5], None, None, None),
        ("# made by hand\n\n450 5 1\n550 6 0  # noisy\n", [450, 550], [5, 6], [True, False], None),
        ("450,5\r\n550,6\r\n", [450, 550], [5, 6], None, None),
        ("450,5;5,25;1\n550;6;0", [450.5, 550], [5.25, 6], [True, False], None),
        ("Wavelength_nm\tFWHM\n450\t5\n", [450], [5], None, "nm"),
        (
            "band,fwhm (um),center wavelength (µm),bbl\n1,.01,0.45,1\n2,.02,0.55,0\n",
            [0.45, 0.55],
            [0.01, 0.02],
            [True, False],
            "um",
        ),
        ("450,\n550,\n", [450, 550], None, None, None),
    ],
)
def test_tables(text, wavelengths, fwhm, good, unit):
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        table = parse_band_table(text.encode(encoding), "bands.txt")
        assert table.wavelengths == wavelengths
        assert table.fwhm == fwhm
        assert table.good_bands == good
        assert table.unit == unit


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no line"),
        ("450\nabc\n", "line 2: 'abc'"),
        ("450\nnan\n", "line 2: 'nan'"),
        ("450\n-1\n", "line 2: '-1'"),
        ("450,5\n550\n", "line 2: 1 columns; 2 are right"),
        ("1,450,5,1\n", "4 columns without names"),
        ("band,name\n1,x\n", "no column called `wavelength`"),
        ("450,5,maybe\n", "line 1: 'maybe'"),
        ("wavelength\n", "0 lines"),
    ],
)
def test_what_is_no_table_is_named(text, told):
    with pytest.raises(InvalidInput, match=told):
        parse_band_table(text.encode(), "bands.txt")

"""ENVI spectral libraries, written by spectral: what comes out is what went in."""

from pathlib import Path

import numpy as np
import pytest
import spectral

from hsis.errors import InvalidInput
from hsis.spectral_library import read_library

VALUES = np.random.default_rng(5).random((3, 4)).astype(np.float32)
NAMES = ["Kaolinite CM9", "Alunite", "Alunite"]


def saved(folder: Path, values: np.ndarray = VALUES, **header: object) -> Path:
    fields = {"wavelength": [0.4, 0.5, 0.6, 0.7], "wavelength units": "Micrometers"}
    fields |= {"spectra names": NAMES, **header}
    fields = {key: value for key, value in fields.items() if value is not None}
    library = spectral.envi.SpectralLibrary(values, fields)
    library.metadata.pop("data ignore value")
    library.metadata |= {k: v for k, v in header.items() if k == "data ignore value"}
    library.save(str(folder / "minerals"), "From the  field")
    return folder / "minerals.sli"


def test_a_library_of_spectral(tmp_path: Path) -> None:
    file = saved(tmp_path)
    spectra = read_library(file, "lab")
    assert [each.name for each in spectra] == ["Kaolinite CM9", "Alunite", "Alunite (2)"]
    for each, values in zip(spectra, VALUES, strict=True):
        assert each.values == values.tolist()
        assert each.wavelengths_nm == pytest.approx([400, 500, 600, 700])
        assert (each.collection, each.unit) == ("lab", None)
        assert each.source == "minerals.sli: From the field"
    assert read_library(tmp_path / "minerals.hdr", "lab") == spectra
    given = read_library(file, "lab", unit="W", source="USGS")
    assert {(each.unit, each.source) for each in given} == {("W", "USGS")}


def test_order_missing_values_and_scale(tmp_path: Path) -> None:
    values = VALUES.copy()
    values[0, 1], values[1, 3] = -1.23e34, -9
    wavelengths = {"wavelength": [700, 600, 500, 400], "wavelength units": "nm"}
    titles = {"z plot titles": ["Wavelength", "Reflectance"], "reflectance scale factor": 2}
    file = saved(tmp_path, values, **wavelengths, **titles, **{"data ignore value": -9})
    first, second, third = read_library(file, "lab")
    assert first.wavelengths_nm == [400, 500, 700]
    assert first.values == [values[0, at] / 2 for at in (3, 2, 0)]
    assert second.wavelengths_nm == [500, 600, 700]
    assert third.values == (values[2, ::-1] / 2).tolist()
    assert third.unit == "1"


@pytest.mark.parametrize(("code", "kind"), [(2, ">i2"), (5, ">f8"), (12, ">u2")])
def test_other_types_offsets_and_names(tmp_path: Path, code: int, kind: str) -> None:
    values = np.array([[1, 2], [30, 40]], kind)
    (tmp_path / "a.sli").write_bytes(b"junk" + values.tobytes())
    (tmp_path / "a.sli.hdr").write_text(
        f"ENVI\nfile type = ENVI Spectral Library\nsamples = 2\nlines = 2\nbands = 1\n"
        f"header offset = 4\ndata type = {code}\nbyte order = 1\n"
    )
    spectra = read_library(tmp_path / "a.sli", "lab")
    assert [(each.name, each.values) for each in spectra] == [
        ("a.sli 1", [1, 2]), ("a.sli 2", [30, 40])
    ]  # fmt: skip
    assert spectra[0].wavelengths_nm is None


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("ENVI Spectral Library", "ENVI Standard", "describes no spectral library"),
        ("lines = 3", "lines = 4", r"has 48 bytes; minerals.hdr says 64 \(4 spectra x 4 bands\)"),
        ("lines = 3", "lines = x", "lines = x; an integer from 1"),
        ("data type = 4", "data type = 6", "data type = 6"),
        ("bands = 1", "bands = 2", "bands = 2; a library has 1"),
        ("Alunite , Alunite", "Alunite", "2 `spectra names` for 3 spectra"),
        ("0.5 , 0.6", "0.5 , 0.5", "two bands of the same wavelength"),
        ("0.5 , 0.6", "0.5", "3 values of `wavelength`; 4 are right"),
        ("0.5 , 0.6", "0.5, red", "no number"),
        ("ENVI\n", "IVNE\n", "does not begin"),
    ],
)
def test_what_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    file = saved(tmp_path)
    header = tmp_path / "minerals.hdr"
    text = header.read_text()
    assert old in text
    header.write_text(text.replace(old, new, 1))
    with pytest.raises(InvalidInput, match=message):
        read_library(file, "lab")


def test_values_that_are_missing_without_wavelengths(tmp_path: Path) -> None:
    values = VALUES.copy()
    values[1, 2] = np.nan
    file = saved(tmp_path, values, wavelength=None)
    with pytest.raises(InvalidInput, match="'Alunite' lacks 1 of 4 values"):
        read_library(file, "lab")
    (tmp_path / "minerals.hdr").unlink()
    with pytest.raises(InvalidInput, match=r"minerals\.sli\.hdr or minerals\.hdr is not beside it"):
        read_library(file, "lab")

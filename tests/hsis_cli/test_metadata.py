"""What is known of a cube, said on the command line: at once, later, and for a collection."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support.embedded import Embedded
from typer.testing import CliRunner

from hsis.cli.main import app

COLLECTION = "said"


@pytest.fixture(autouse=True)
def _logged_in(
    embedded: Embedded, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("config")
    for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(folder))
    run("login", "--url", embedded.url, "--password", embedded.admin_password)


def run(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result.stdout if code == 0 else result.stderr


def item(name: str) -> Any:
    found = json.loads(run("search", "--collection", COLLECTION, "--id", name, "--json"))
    return found["features"][0]


def two_bands(folder: Path) -> Path:
    (folder / "two.txt").write_text("450\n550\n")
    return folder / "two.txt"


def test_given_corrected_and_templated(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones((2, 4, 3), np.float32))
    (tmp_path / "bands.txt").write_text("0.45 0.01 1\n0.55 0.01 0\n0.65 0.02 1\n")
    (tmp_path / "known.yaml").write_text(
        "unit: DN\nscale: 2\ndatetime: 2024-06-01T10:30:00+02:00\nproperties: {lab:room: '7'}\n"
    )
    upload = ["upload", tmp_path / "a.npy", "--collection", COLLECTION, "--wait"]
    run(
        *upload, "--metadata", tmp_path / "known.yaml", "--wavelengths", tmp_path / "bands.txt",
        "--unit", "radiance", "--nodata", "nan", "--place", "-13.5,52.25", "--property", "lab:n=3",
    )  # fmt: skip
    stored = item("a")
    assert stored["geometry"] == {"type": "Point", "coordinates": [-13.5, 52.25]}
    properties = stored["properties"]
    assert properties["datetime"] == "2024-06-01T08:30:00Z"
    assert (properties["lab:room"], properties["lab:n"]) == ("7", 3)
    shown = json.loads(run("correct", COLLECTION, "a", "--json"))["metadata"]
    assert shown["wavelengths"] == pytest.approx([450, 550, 650])
    assert shown["fwhm"] == pytest.approx([10, 10, 20])
    assert shown["good_bands"] == [True, False, True]
    assert (shown["unit"], shown["scale"], shown["nodata"]) == ("radiance", 2, "nan")

    told = run("correct", COLLECTION, "a", "--unit", "reflectance", "--unset", "place",
               "--unset", "fwhm", "--property", "lab:n=null")  # fmt: skip
    assert "unit\treflectance\tcorrection" in told
    assert "admin corrected" in told
    assert item("a")["geometry"] is None
    assert "lab:n" not in item("a")["properties"]
    assert "fwhm" not in run("correct", COLLECTION, "a").split("admin corrected")[0]

    (tmp_path / "gains.txt").write_text("0.5\n0.25\n2\n")
    run("correct", COLLECTION, "a", "--scale", tmp_path / "gains.txt", "--offset", "-1,0,1")
    shown = json.loads(run("correct", COLLECTION, "a", "--json"))["metadata"]
    assert (shown["scale"], shown["offset"]) == ([0.5, 0.25, 2], [-1, 0, 1])
    told = run("correct", COLLECTION, "a", "--scale", "1,2", code=1)
    assert "2 values; the cube has 3 bands" in told
    told = run("correct", COLLECTION, "a", "--scale", "much", code=2)
    assert "--scale much: a number is right, or one a band" in told

    told = run(*upload, "--id", "c", "--wavelengths", two_bands(tmp_path), code=1)
    assert "2 values; the cube has 3 bands" in told
    failed = re.search(r"hsis retry ([0-9a-f-]{36})", told)
    assert failed is not None
    run("retry", failed[1], "--wavelengths", tmp_path / "bands.txt", "--wait")
    assert item("c")["properties"]["hsi:wavelength_max"] == pytest.approx(0.65)

    told = run("template", "set", COLLECTION, "--sensor", "Pika L", "--unit", "counts")
    assert told.split("\n") == ["unit\tcounts\t", "sensor\tPika L\t", ""]
    assert json.loads(run("template", "show", COLLECTION, "--json")) == {
        "sensor": "Pika L", "unit": "counts",
    }  # fmt: skip
    run(*upload, "--id", "b", "--unit", "DN")
    assert item("b")["properties"]["instruments"] == ["Pika L"]
    assert item("b")["assets"]["cube"]["unit"] == "DN"
    assert "has no template now" in run("template", "remove", COLLECTION)
    assert "no template" in run("template", "show", COLLECTION, code=1)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--scale", "0"], "a scale is not 0"),
        (["--datetime", "2024-06-01"], "a time with its zone"),
        (["--place", "200,10"], "longitudes"),
        (["--place", "nowhere.json"], "lon,lat or west"),
        (["--property", "novalue"], "name=value"),
        (["--property", "hsi:job=1"], "set by HSIS"),
        (["--wavelength-unit", "mm"], "wavelength_unit 'mm'"),
        (["--unset", "colour"], "one of wavelengths"),
        (["--unit", "a", "--unset", "unit"], "both given and unset"),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_sent(options: list[str], told: str) -> None:
    message = run("correct", COLLECTION, "none", *options, code=2)
    assert told in message
    assert message.count("\n") == 1


def test_files_that_are_no_metadata(tmp_path: Path) -> None:
    for name, content, told in (
        ("a.json", "{", "is no JSON"),
        ("a.yaml", "a: [", "is no YAML"),
        ("a.yml", "- 1", "holds no object"),
        ("a.json", '{"colour": 1}', "Extra inputs"),
    ):
        (tmp_path / name).write_text(content)
        assert told in run("correct", COLLECTION, "x", "--metadata", tmp_path / name, code=2)
    (tmp_path / "bands.csv").write_text("450\nx\n")
    told = run("correct", COLLECTION, "x", "--wavelengths", tmp_path / "bands.csv", code=2)
    assert "bands.csv, line 2: 'x'" in told

"""Every command against the whole embedded default, through its edge."""

import hashlib
import json
import os
import re
import shutil
import stat
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import scipy.io
import spectral
import zarr
from tests.support.embedded import Embedded
from typer.testing import CliRunner, Result

import hsis
from hsis.cli.main import app
from hsis.clients.sending import send_files
from hsis.errors import NotFound, Unauthenticated, Unavailable
from hsis_embedded.demo import DemoScene, make_scene, write_envi

COLLECTION = "command-line"


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("config")


@pytest.fixture(autouse=True)
def _own_config(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(config))
    monkeypatch.setenv("XDG_CACHE_HOME", str(config / "cache"))


@pytest.fixture(scope="module")
def scene() -> DemoScene:
    return make_scene(3, bands=12, rows=40, columns=56)


@pytest.fixture(scope="module")
def files(scene: DemoScene, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_envi(scene, tmp_path_factory.mktemp("scene"), "scene")


@pytest.fixture(scope="module")
def logged_in(embedded: Embedded, config: Path) -> None:
    environment = {"XDG_CONFIG_HOME": str(config), "HSIS_PASSWORD": embedded.admin_password}
    result = CliRunner().invoke(app, ["login", "--url", embedded.url], env=environment)
    assert result.exit_code == 0, result.output
    assert "admin is logged in" in result.stdout
    mode = (config / "hsis" / "credentials.json").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600


def run(*arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


def answer(*arguments: object) -> Any:
    return json.loads(run(*arguments, "--json").stdout)


@pytest.fixture(scope="module")
def item(logged_in: None, config: Path, files: tuple[Path, Path]) -> str:
    """The scene, uploaded by naming its data file only."""
    command = ["upload", str(files[1]), "--collection", COLLECTION, "--id", "scene", "--wait"]
    result = CliRunner().invoke(app, [*command, "--json"], env={"XDG_CONFIG_HOME": str(config)})
    assert result.exit_code == 0, result.output
    upload = json.loads(result.stdout)
    assert (upload["collection"], upload["item"]) == (COLLECTION, "scene")
    assert upload["state"] == "succeeded"
    assert {file["name"] for file in upload["files"]} == {"scene.hdr", "scene.raw"}
    return "scene"


def test_a_wrong_password(embedded: Embedded) -> None:
    result = run("login", "--url", embedded.url, "--password", "wrong", code=3)
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1


def test_no_token(embedded: Embedded, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("HSIS_URL", embedded.url)
    (tmp_path / "a.npy").write_bytes(b"")
    result = run("upload", tmp_path / "a.npy", "--collection", COLLECTION, code=3)
    assert "`hsis login` gets a token" in result.stderr
    monkeypatch.setenv("HSIS_TOKEN", "not-a-token")
    run("collections", code=3)


def test_collections_and_processes(item: str) -> None:
    assert COLLECTION in {each["id"] for each in answer("collections")["collections"]}
    assert COLLECTION in {line.split("\t")[0] for line in run("collections").stdout.splitlines()}
    assert {"rx", "sam"} <= {each["id"] for each in answer("processes")["processes"]}


def test_search(item: str) -> None:
    found = answer("search", "--collection", COLLECTION, "--id", item)
    assert [each["id"] for each in found["features"]] == [item]
    line = run("search", "--collection", COLLECTION, "--id", item).stdout.strip()
    assert line.split("\t")[:2] == [COLLECTION, item]
    assert answer("search", "--id", "no-such-item")["features"] == []


def test_search_pages_through(
    item: str, files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    run("upload", *files, "--collection", COLLECTION, "--id", "second", "--wait")
    monkeypatch.setattr("hsis.cli.query.PAGE_ITEMS", 1)
    found = answer("search", "--collection", COLLECTION, "--id", item, "--id", "second")
    assert {each["id"] for each in found["features"]} == {item, "second"}
    assert len(found["features"]) == 2
    assert len(answer("search", "--collection", COLLECTION, "--limit", 1)["features"]) == 1


def test_spectrum(item: str, scene: DemoScene) -> None:
    found = answer("spectrum", COLLECTION, item, 5, 9)
    assert found["values"] == scene.cube[:, 9, 5].tolist()
    np.testing.assert_allclose(found["wavelengths_nm"], scene.wavelengths_nm)
    lines = run("spectrum", COLLECTION, item, 5, 9).stdout.splitlines()
    assert [float(line.split("\t")[2]) for line in lines] == scene.cube[:, 9, 5].tolist()
    outside = run("spectrum", COLLECTION, item, scene.cube.shape[2], 0, code=1)
    assert outside.stderr.startswith("Error: ")


def test_download_of_the_original(item: str, files: tuple[Path, Path], tmp_path: Path) -> None:
    for _ in range(2):  # what is there already and equal is no obstacle
        run("download", COLLECTION, item, "--output", tmp_path / "new" / "folder")
    found = sorted((tmp_path / "new" / "folder").iterdir())
    assert [path.name for path in found] == ["scene.hdr", "scene.raw"]
    for path, original in zip(found, files, strict=True):
        assert path.read_bytes() == original.read_bytes()


def test_a_download_replaces_no_other_file(item: str, tmp_path: Path) -> None:
    (tmp_path / "scene.raw").write_bytes(b"my own")
    result = run("download", COLLECTION, item, "--output", tmp_path, code=1)
    assert "is there already with other content" in result.stderr
    assert (tmp_path / "scene.raw").read_bytes() == b"my own"
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_download_of_the_cube(item: str, scene: DemoScene, tmp_path: Path) -> None:
    arguments = ("download", COLLECTION, item, "--asset", "cube", "--output", tmp_path)
    folder = Path(run(*arguments).stdout.strip())
    assert list(tmp_path.iterdir()) == [folder]
    np.testing.assert_array_equal(zarr.open_group(folder, mode="r")["cube"][:], scene.cube)
    assert "is there already" in run(*arguments, code=1).stderr


def test_download_of_statistics_and_thumbnail(item: str, tmp_path: Path) -> None:
    for asset in ("statistics", "thumbnail"):
        run("download", COLLECTION, item, "--asset", asset, "--output", tmp_path)
    assert json.loads((tmp_path / "scene.statistics.json").read_bytes())
    assert (tmp_path / "scene.webp").read_bytes()[8:12] == b"WEBP"


def test_download_in_another_format(item: str, scene: DemoScene, tmp_path: Path) -> None:
    command = ("download", COLLECTION, item, "--format")
    part = ("--bands", "2:4,12", "--window", "5,10,25,40")
    path = Path(run(*command, "npy", *part, "-o", tmp_path / "part.npy").stdout.strip())
    assert path == tmp_path / "part.npy"
    expected = scene.cube[[1, 2, 3, 11], 10:40, 5:25]
    np.testing.assert_array_equal(np.load(path).transpose(2, 0, 1), expected)
    archive = Path(run(*command, "envi", "--interleave", "bil", "-o", tmp_path).stdout.strip())
    assert archive.name == "scene.envi.zip"
    shutil.unpack_archive(archive, tmp_path)
    image = spectral.open_image(str(tmp_path / "scene.hdr"))
    np.testing.assert_array_equal(np.asarray(image.open_memmap(interleave="bsq")), scene.cube)
    assert "is there already" in run(*command, "envi", "-o", tmp_path, code=1).stderr
    assert "numbered 1 to 12" in run(*command, "mat", "--bands", "13", code=1).stderr
    assert "needs --format" in run("download", COLLECTION, item, "--bands", "1", code=2).stderr


def test_who_may_read_what_was_downloaded_is_for_the_user_to_say(item: str, tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        run("download", COLLECTION, item, "-o", tmp_path / "originals")
        run("download", COLLECTION, item, "--format", "npy", "-o", tmp_path / "scene.npy")
        run("download", COLLECTION, item, "--asset", "cube", "-o", tmp_path)
    finally:
        os.umask(before)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o640}
    folders = [tmp_path / name for name in ("originals", f"{item}.zarr", f"{item}.zarr/cube")]
    assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o750}


def test_open(item: str, scene: DemoScene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # nobody answers there
    with hsis.open(COLLECTION, item) as dataset:
        assert dataset["cube"].dims == ("band", "y", "x")
        np.testing.assert_array_equal(dataset["cube"].values, scene.cube)
        np.testing.assert_allclose(dataset["wavelength_nm"].values, scene.wavelengths_nm)


def test_open_tells_why_not(item: str, embedded: Embedded) -> None:
    with pytest.raises(NotFound):
        hsis.open(COLLECTION, "no-such-item")
    with pytest.raises(Unauthenticated):
        hsis.open(COLLECTION, item, url=embedded.url, token="not-a-token")


def test_run_and_wait(item: str, scene: DemoScene, tmp_path: Path) -> None:
    result = answer("run", "rx", COLLECTION, item, "-p", "id=scene-rx", "--wait")
    assert (result["collection"], result["id"]) == (COLLECTION, "scene-rx")
    assert "derived_from" in {link["rel"] for link in result["links"]}
    with hsis.open(COLLECTION, "scene-rx") as dataset:
        scores = dataset["cube"].values[0]
    highest = np.argsort(scores, axis=None)[-int(scene.anomaly_mask.sum()) :]
    assert scene.anomaly_mask.ravel()[highest].all()
    refused = run("download", COLLECTION, "scene-rx", "--output", tmp_path, code=1)
    assert "was computed, not uploaded" in refused.stderr


def test_search_by_a_geometry(item: str, embedded: Embedded, tmp_path: Path) -> None:
    triangle = {"type": "Polygon", "coordinates": [[[0, 0], [10, 0], [0, 10], [0, 0]]]}
    document = {
        "type": "Feature",
        "id": "triangle",
        "geometry": triangle,
        "bbox": [0, 0, 10, 10],
        "properties": {"datetime": "2024-06-01T10:30:00Z"},
    }
    password = {"username": "admin", "password": embedded.admin_password}
    with httpx.Client(base_url=embedded.url, trust_env=False) as http:
        token = http.post("/auth/token", data=password).json()["access_token"]
        path = f"/stac/collections/{COLLECTION}/items"
        made = http.post(path, json=document, headers={"Authorization": f"Bearer {token}"})
    assert made.status_code == 201, made.text
    file = tmp_path / "area.geojson"
    command = ["search", "--collection", COLLECTION, "--intersects", file]
    inside, outside = ({"type": "Point", "coordinates": [x, x]} for x in (2, 9))
    feature = {"type": "Feature", "geometry": inside, "properties": {}}
    for given, found in ((inside, ["triangle"]), (feature, ["triangle"]), (outside, [])):
        file.write_text(json.dumps(given))
        assert [each["id"] for each in answer(*command)["features"]] == found
    file.write_text("{")
    assert "area.geojson is no JSON" in run(*command, code=2).stderr
    file.write_text("3")
    assert "must be a GeoJSON geometry" in run(*command, code=1).stderr


def test_a_process_that_is_none(item: str) -> None:
    assert run("run", "no-such-process", COLLECTION, item, code=1).stderr.startswith("Error: ")


def test_a_file_that_cannot_be_converted(logged_in: None, tmp_path: Path) -> None:
    (tmp_path / "noise.raw").write_bytes(hashlib.sha256(b"noise").digest() * 100)
    command = ["upload", tmp_path / "noise.raw", "--collection", COLLECTION, "--wait", "--json"]
    result = run(*command, code=1)
    assert json.loads(result.stdout)["state"] == "failed"
    assert "Error: " in result.stderr


def test_a_folder_of_scenes(logged_in: None, files: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "monday").mkdir()
    for path in files:
        shutil.copy(path, tmp_path / "monday" / path.name.replace("scene", "from folder"))
    np.save(tmp_path / "plain.npy", np.arange(24.0).reshape(2, 3, 4))
    (tmp_path / "bad.npy").write_bytes(b"no array")
    sent = ("upload", tmp_path, "--collection", "folders", "--wait")
    result = run(*sent, code=1)
    stored = result.stdout.splitlines()
    assert stored == ["folders/plain succeeded", "folders/from-folder succeeded"]
    assert "1 of 3 scenes failed. bad: " in result.stderr


def test_an_upload_where_nothing_can_be_remembered(
    logged_in: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save(tmp_path / "forgotten.npy", np.ones((3, 4, 2), np.uint8))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "forgotten.npy"))  # no folder
    sent = run("upload", tmp_path / "forgotten.npy", "--collection", COLLECTION, "--wait")
    assert sent.stdout == f"{COLLECTION}/forgotten succeeded\n"
    assert "forgotten.npy/hsis/uploads cannot be written" in sent.stderr


def test_a_folder_goes_on_after_the_scenes_that_were_sent(
    logged_in: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two"):
        np.save(tmp_path / f"{name}.npy", np.ones((3, 4, 2), np.uint8))

    async def away_for_the_second(ingest: Any, request: Any, *rest: Any, **more: Any) -> Any:
        if request.id == "two":
            raise Unavailable("It is away.")
        return await send_files(ingest, request, *rest, **more)

    command = ["upload", tmp_path, "--collection", COLLECTION, "--wait"]
    with monkeypatch.context() as patch:
        patch.setattr("hsis.cli.upload.send_files", away_for_the_second)
        assert "The same command goes on" in run(*command, code=1).stderr
    assert {upload["item"]: upload["state"] for upload in answer(*command)} == {
        "one": "succeeded", "two": "succeeded",
    }  # fmt: skip
    assert "2 of 2 scenes failed" in run(*command, code=1).stderr  # sent once more, it is another


def test_an_archive(logged_in: None, tmp_path: Path) -> None:
    (tmp_path / "scenes").mkdir()
    for number in range(2):
        np.save(tmp_path / "scenes" / f"packed-{number}.npy", np.full((2, 3, 4), number))
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path / "scenes")
    sent = answer("upload", archive, "--collection", "folders", "--wait")
    assert {(scene["item"], scene["state"]) for scene in sent["scenes"]} == {
        ("packed-0", "succeeded"),
        ("packed-1", "succeeded"),
    }


def test_ingest_from_the_store(logged_in: None, tmp_path: Path) -> None:
    np.save(tmp_path / "once.npy", np.full((2, 3, 4), 7))
    first = answer("upload", tmp_path / "once.npy", "--collection", "folders", "--wait")
    key = f"raw/folders/{first['id']}/once.npy"
    result = run("ingest", key, "--collection", "folders", "--id", "twice", "--wait")
    assert result.stdout.strip() == "folders/twice succeeded"
    assert result.stderr.strip().endswith("The same files as of once; they are stored once.")
    again = ("ingest", key, "--collection", "folders", "--on-duplicate", "refuse", "--id", "no")
    assert "/stac/collections/folders/items/once" in run(*again, "--wait", code=1).stderr
    refused = run("ingest", "http://127.0.0.1:1/a.npy", "--collection", "folders", code=1)
    assert "not public" in refused.stderr


def test_reflectance_of_a_capture(item: str, tmp_path: Path) -> None:
    """Naming the scene is enough: its header and its references lie beside it."""
    for name, counts in {"leaf": 60, "WHITEREF_leaf": 110, "DARKREF_leaf": 10}.items():
        values = np.full((8, 9, 3), counts, np.uint16)
        bands = {"wavelength": [500, 600, 700]}
        spectral.envi.save_image(str(tmp_path / f"{name}.hdr"), values, ext=".raw", metadata=bands)
    sent = ["upload", tmp_path / "leaf.raw", "--collection", COLLECTION, "--wait"]
    sent += ["--calibration", "reflectance", "--white-reflectance"]
    for wrong in (tmp_path / "none.csv", tmp_path, ",".join(["0.99"] * 80)):
        assert "such as 0.99 or a file" in run(*sent, wrong, code=2).stderr
    assert "0.99 for 99 %" in run(*sent, "99", code=2).stderr
    (tmp_path / "panel.csv").write_text("400,0.5\n800,0.25\n")
    upload = answer(*sent, tmp_path / "panel.csv")
    assert (upload["item"], upload["state"], len(upload["files"])) == ("leaf", "succeeded", 7)
    spectrum = answer("spectrum", COLLECTION, "leaf", 4, 4)
    assert (spectrum["values"], spectrum["unit"]) == ([0.21875, 0.1875, 0.15625], "1")


def test_labels(item: str, scene: DemoScene, tmp_path: Path) -> None:
    truth = np.zeros((40, 56), np.uint8)
    truth[3:9, 5:20] = 2
    scipy.io.savemat(tmp_path / "truth.mat", {"gt": truth.astype(float)})
    names = ["--class-names", "corn,oats"]
    told = run("labels", "add", COLLECTION, item, tmp_path / "truth.mat", *names).stdout
    assert f"{COLLECTION}/{item} has labels truth" in told
    assert told.splitlines()[-1].split() == ["2", "oats", "90"]
    found = answer("labels", "list", COLLECTION, item)
    assert list(found) == ["truth"]
    assert re.search(f"/blobs/raw/{COLLECTION}/[0-9a-f-]{{36}}/truth.tif$", found["truth"]["href"])
    assert run("labels", "list", COLLECTION, item).stdout.split()[:2] == ["truth", "2"]
    np.save(tmp_path / "other.npy", truth[:-1])
    wrong = run("labels", "add", COLLECTION, item, tmp_path / "other.npy", code=1)
    assert "39 rows x 56 columns; the cube has 40 x 56" in wrong.stderr
    told = run("labels", "remove", COLLECTION, item, "truth").stdout
    assert told == f"{COLLECTION}/{item} has no labels truth now\n"
    assert answer("labels", "list", COLLECTION, item) == {}


def test_a_spectral_library(item: str, tmp_path: Path) -> None:
    values = np.array([[0.5, 0.25], [1, 2]], "f4")
    header = {"wavelength": [400, 500], "spectra names": ["kaolinite", "alunite"]}
    spectral.envi.SpectralLibrary(values, header).save(str(tmp_path / "minerals"))
    command = ["spectra", "import", tmp_path / "minerals.sli", "--collection", COLLECTION]
    assert f"2 spectra added to {COLLECTION}" in run(*command).stdout
    assert "has 2 of these names already" in run(*command, code=1).stderr
    assert "0 spectra added" in run(*command, "--skip-existing").stdout
    found = answer("spectra", "list", "--collection", COLLECTION)
    assert [(each["name"], each["values"]) for each in found] == [
        ("alunite", [1, 2]),
        ("kaolinite", [0.5, 0.25]),
    ]
    assert "400 to 500" in run("spectra", "list", "--collection", COLLECTION).stdout
    (tmp_path / "minerals.hdr").write_text("ENVI")
    assert "describes no spectral library" in run(*command, code=2).stderr


def test_delete(item: str, files: tuple[Path, Path], config: Path) -> None:
    sent = ["upload", *files, "--collection", COLLECTION, "--id", "short-lived", "--wait"]
    assert run(*sent).stdout.strip() == f"{COLLECTION}/short-lived succeeded"
    dataset = hsis.open(COLLECTION, "short-lived")
    run("delete", COLLECTION, "short-lived")
    # What the sweep of the trash removes, while a program still has the dataset.
    kept = json.loads((config / "hsis" / "credentials.json").read_text())
    shard = f"{kept['url']}/blobs/cubes/{COLLECTION}/short-lived/cube.zarr/cube/c/0/0/0"
    headers = {"Authorization": f"Bearer {kept['token']}"}
    assert httpx.delete(shard, headers=headers, trust_env=False).status_code == 204
    with pytest.raises(FileNotFoundError):
        dataset["cube"][:, 0, 0].load()
    assert answer("search", "--id", "short-lived")["features"] == []
    run("delete", COLLECTION, "short-lived", code=1)
    run("trash", "purge", COLLECTION, "short-lived")


def test_scrub(item: str) -> None:
    whole = run("scrub", "--collection", COLLECTION, "--item", item)
    assert whole.stdout.startswith("1 items, ")
    assert whole.stdout.strip().endswith("all as it was stored")
    told = answer("scrub", "--collection", COLLECTION)
    assert item in [line["item"] for line in told["items"]]
    assert told["summary"]["faults"] == 0
    run("scrub", "--item", item, code=2)


def test_sweep(item: str) -> None:
    told = answer("sweep", "--remove")
    assert (told["orphans"], told["removed"], told["kept"]) == ([], [], [])
    assert told["summary"]["items"] >= 1
    assert told["summary"]["prefixes"] >= 2
    assert run("sweep").stdout.startswith("0 orphans, 0 bytes; 0 items")


def test_quota(item: str) -> None:
    assert answer("quota", COLLECTION)["allowed_bytes"] is None
    told = answer("quota", COLLECTION, "--set", "123456789")
    assert (told["allowed_bytes"], told["used_bytes"] > 0) == (123456789, True)
    lines = run("quota", COLLECTION, "--set", "none").stdout.splitlines()
    assert lines[0] == "allowed\tno limit"
    assert lines[1] == f"used\t{told['used_bytes']}"
    run("quota", COLLECTION, "--set", "much", code=2)


def test_trash(item: str, files: tuple[Path, Path]) -> None:
    """Restored as it was, beside another item of its id, and purged."""
    sent = ["upload", *files, "--collection", COLLECTION, "--id", "thrown", "--wait"]
    run(*sent)
    run("delete", COLLECTION, "thrown")
    [entry] = [e for e in answer("trash", "list", COLLECTION)["entries"] if e["item"] == "thrown"]
    assert (entry["deleted_by"], entry["cube_kept"]) == ("admin", True)
    assert run("trash", "restore", COLLECTION, "thrown").stdout == f"{COLLECTION}/thrown restored\n"
    run("delete", COLLECTION, "thrown")
    run(*sent)
    refused = run("trash", "restore", COLLECTION, "thrown", code=1)
    assert "give another id" in refused.stderr
    refused = run("trash", "restore", COLLECTION, "thrown", "--id", "no spaces", code=2)
    assert refused.stderr.startswith("Error: id 'no spaces': ")
    again = answer("trash", "restore", COLLECTION, "thrown", "--id", "thrown-2")
    assert again["id"] == "thrown-2"
    for name in ("thrown", "thrown-2"):
        run("delete", COLLECTION, name)
        run("trash", "purge", COLLECTION, name)
    run("trash", "purge", COLLECTION, "thrown", code=1)
    run("trash", "purge", COLLECTION, code=2)

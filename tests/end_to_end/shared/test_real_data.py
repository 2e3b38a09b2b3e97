"""The real files: uploaded by the CLI through the edge, and equal to their source afterwards."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.warp
import scipy.io
import spectral.io.envi
from tests.support.api import Session, open_cube, session
from tests.support.embedded import Embedded


@pytest.fixture(scope="module")
async def api(embedded: Embedded) -> AsyncIterator[Session]:
    async with session(embedded.url, embedded.admin_password) as opened:
        yield opened


def hsis(api: Session, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The command line, as its user types it."""
    program = Path(sys.executable).parent / "hsis"
    return subprocess.run(
        [program, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "HSIS_URL": api.url, "HSIS_TOKEN": api.token},
    )


def uploaded(api: Session, *arguments: str | Path) -> Any:
    """Upload by the CLI and wait; what it printed as JSON."""
    done = hsis(api, "upload", *arguments, "--wait", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


async def assert_equal(api: Session, collection: str, item: str, source: np.ndarray) -> Any:
    """The stored cube and spectra of it equal `source` (band, y, x); the opened dataset."""
    dataset = open_cube(api.url, api.token, collection, item)
    stored = dataset["cube"]
    assert stored.dims == ("band", "y", "x")
    assert stored.dtype == source.dtype.newbyteorder("=")
    np.testing.assert_array_equal(stored.values, source)
    _, rows, columns = source.shape
    for x, y in ((0, 0), (columns - 1, rows - 1), (columns // 3, rows // 2)):
        answer = await api.tiles.spectrum(collection, item, x, y, token=api.token)
        expected = source[:, y, x].astype(float).tolist()
        got = [value if value is not None else np.nan for value in answer.values]
        known = ~np.isnan(got)
        np.testing.assert_array_equal(np.array(got)[known], np.array(expected)[known])
    return dataset


async def test_every_enmap_tile(api: Session, data_folder: Path) -> None:
    folder = data_folder / "enmap_potsdam" / "images"
    tiles = sorted(folder.glob("*.tif"))
    assert len(tiles) == 13
    uploads = uploaded(api, folder, "--collection", "potsdam")
    assert sorted(upload["item"] for upload in uploads) == [tile.stem for tile in tiles]
    for tile in tiles:
        item_id = tile.stem
        with rasterio.open(tile) as source:
            values = source.read()
            wavelengths = [float(source.tags(b)["wavelength"]) for b in source.indexes]
            fwhm = [float(source.tags(b)["fwhm"]) for b in source.indexes]
            crs, transform, bounds = source.crs, source.transform, source.bounds
        dataset = await assert_equal(api, "potsdam", item_id, values)
        np.testing.assert_array_equal(dataset["wavelength_nm"], wavelengths)
        np.testing.assert_array_equal(dataset["fwhm_nm"], fwhm)
        item = await api.catalog.item("potsdam", item_id, token=api.token)
        properties, cube = item["properties"], item["assets"]["cube"]
        assert properties["datetime"] == "2022-07-24T10:45:26Z"
        assert properties["proj:code"] == f"EPSG:{crs.to_epsg()}" == "EPSG:32633"
        assert properties["proj:transform"][:6] == list(transform)[:6]
        assert cube["nodata"] == -32768
        centres = [band["eo:center_wavelength"] * 1000 for band in cube["bands"]]
        np.testing.assert_allclose(centres, wavelengths, rtol=1e-12)
        west, south, east, north = item["bbox"]
        expected = rasterio.warp.transform_bounds(crs, "EPSG:4326", *bounds)
        np.testing.assert_allclose((west, south, east, north), expected, atol=1e-4)
        original = item["assets"]["original-1"]
        content = await api.http.get(
            original["href"], headers={"Authorization": f"Bearer {api.token}"}
        )
        assert content.content == tile.read_bytes()


async def test_corn_kernel(api: Session, data_folder: Path, tmp_path: Path) -> None:
    folder = data_folder / "corn_kernel"
    header, raw = (folder / f"corn-kernel-hyperspectral.{end}" for end in ("hdr", "raw"))
    uploaded(api, header, raw, "--collection", "corn", "--id", "kernel")
    complete = tmp_path / "complete.hdr"  # SPy insists on a byte order, which the file leaves out
    complete.write_text(header.read_text() + "\nbyte order = 0\n")
    source = spectral.io.envi.open(str(complete), str(raw))
    values = np.asarray(source.open_memmap()).transpose(2, 0, 1)
    dataset = await assert_equal(api, "corn", "kernel", values)
    np.testing.assert_array_equal(dataset["wavelength_nm"], source.bands.centers)
    item = await api.catalog.item("corn", "kernel", token=api.token)
    assert item["geometry"] is None
    assert "bbox" not in item
    picture = await api.tiles.preview("corn", "kernel", token=api.token)
    assert picture.startswith(b"\x89PNG")


async def test_jasper_ridge_and_its_class_map(
    api: Session, data_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = data_folder / "jasper_ridge" / "jasperRidge2_R198.mat"
    uploaded(api, file, "--collection", "jasper", "--id", "r198", "--variable", "Y")
    truth = scipy.io.loadmat(file)
    values = truth["Y"].reshape(198, 100, 100, order="F")
    await assert_equal(api, "jasper", "r198", values)

    endmembers = truth["M"].T
    spectra = [
        {"name": name, "values": values.tolist()}
        for name, values in zip(("tree", "water", "dirt", "road"), endmembers, strict=True)
    ]
    job, result = await api.run("sam", collection="jasper", item="r198", spectra=spectra)
    assert job.status == "successful", job
    pixels = truth["Y"].astype(np.float64)
    cosines = (endmembers @ pixels) / (
        np.linalg.norm(endmembers, axis=1)[:, None] * np.linalg.norm(pixels, axis=0)
    )
    expected = (np.arccos(np.clip(cosines, -1, 1)).argmin(axis=0) + 1).reshape(100, 100, order="F")
    found = open_cube(api.url, api.token, "jasper", result["id"])["cube"].values[0]
    np.testing.assert_array_equal(found, expected)
    ground_truth = (truth["A"].argmax(axis=0) + 1).reshape(100, 100, order="F")
    accuracy = float((found == ground_truth).mean())
    with capsys.disabled():
        print(f"\nSAM on Jasper Ridge: overall accuracy {accuracy:.3f} against the ground truth")
    assert accuracy > 0.7
    assert any(link["rel"] == "derived_from" for link in result["links"])
    assert result["properties"]["hsi:process"] == "sam"
    assert result["properties"]["hsi:device"].startswith("cpu") or "cuda" in str(
        result["properties"]["hsi:device"]
    )


async def test_a_matrix_without_a_shape_is_asked_for_one(api: Session, tmp_path: Path) -> None:
    file = tmp_path / "matrix.mat"
    scipy.io.savemat(file, {"Y": np.arange(60, dtype=np.uint16).reshape(5, 12)})
    refused = hsis(api, "upload", file, "--collection", "jasper", "--id", "matrix", "--wait")
    assert refused.returncode == 1
    assert "rows" in refused.stderr
    assert "columns" in refused.stderr
    assert "Traceback" not in refused.stderr
    options = ("--rows", "3", "--columns", "4")
    uploaded(api, file, "--collection", "jasper", "--id", "matrix", *options)
    values = np.arange(60, dtype=np.uint16).reshape(5, 12).reshape(5, 3, 4, order="F")
    await assert_equal(api, "jasper", "matrix", values)

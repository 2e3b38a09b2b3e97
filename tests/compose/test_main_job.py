"""What a user does through the edge of the containers; all is there after down and up."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
import scipy.io

from hsis.contracts.uploads import UploadState
from tests.support.api import Session, open_cube, session
from tests.support.containers import Containers

SHAPE = (140, 300, 600)
"""Bands, rows, columns: eight shards."""


@pytest.fixture(scope="module")
def cube() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 4000, SHAPE, dtype=np.uint16)


async def upload(api: Session, cube: np.ndarray, folder: Path, collection: str, item: str) -> None:
    """Upload an array and wait until it is an item."""
    np.save(folder / "cube.npy", cube)
    sent = await api.upload([folder / "cube.npy"], collection, id=item, axes="byx")
    assert sent.state is UploadState.SUCCEEDED, sent


async def test_a_cube_is_read_back_processed_and_there_after_down_and_up(
    containers: Containers, api: Session, cube: np.ndarray, tmp_path: Path
) -> None:
    await upload(api, cube, tmp_path, "kept", "cube")
    spectrum = await api.tiles.spectrum("kept", "cube", 7, 11, token=api.token)
    np.testing.assert_array_equal(spectrum.values, cube[:, 11, 7])
    job, result = await api.run("rx", collection="kept", item="cube", id="score")
    assert job.status.value == "successful", job
    scores = open_cube(api.url, api.token, "kept", result["id"])["cube"].values
    containers.compose("down")
    containers.up()
    async with session(containers.url, containers.admin_password) as again:
        stored = open_cube(again.url, again.token, "kept", "cube")["cube"].values
        np.testing.assert_array_equal(stored, cube)
        kept = open_cube(again.url, again.token, "kept", "score")["cube"].values
        np.testing.assert_array_equal(kept, scores)
        await again.catalog.delete_item("kept", "cube", token=again.token)
        found = await again.catalog.search({"collections": ["kept"]}, token=again.token)
        assert [item["id"] for item in found["features"]] == ["score"]


async def test_the_slimmed_image_of_ingest_reads_matlab_and_geotiff(
    containers: Containers, api: Session, tmp_path: Path
) -> None:
    scene = np.random.default_rng(4).integers(0, 4000, (5, 9, 7), dtype=np.uint16)
    scipy.io.savemat(tmp_path / "scene.mat", {"scene": scene.transpose(1, 2, 0)})
    with rasterio.open(
        *(tmp_path / "scene.tif", "w"),
        **{"driver": "GTiff", "count": 5, "height": 9, "width": 7, "dtype": "uint16"},
        **{"crs": "EPSG:32632", "transform": rasterio.Affine(2, 0, 5e5, 0, -2, 5e6)},
    ) as file:
        file.write(scene)
    for name in ("scene.mat", "scene.tif"):
        item = name.replace(".", "-")
        sent = await api.upload([tmp_path / name], "formats", id=item)
        assert sent.state is UploadState.SUCCEEDED, sent
        stored = open_cube(api.url, api.token, "formats", item)["cube"].values
        np.testing.assert_array_equal(stored, scene)

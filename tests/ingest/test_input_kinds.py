"""Captures, zipped Zarr stores and the like on their way to items."""

import hashlib
import io
import json
import re
import zipfile
from contextlib import suppress

import numpy as np
import pytest
import spectral
import tifffile
import zarr

from hsis.contracts.labels import LabelRequest
from hsis.contracts.metadata import CubeMetadata
from hsis.contracts.uploads import UploadState
from hsis.errors import Conflict, InvalidInput, NotFound, Unauthenticated
from tests.ingest.conftest import Ingest
from tests.ingest.tus_client import COLLECTION, Tus, upload_of
from tests.support.servers import served

SHAPE = (30, 40, 12)
"""Lines, samples, bands."""


def npy(values):
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


async def sent_by_tus(ingest: Ingest, folder, **metadata):
    tus = Tus(ingest.http, ingest.url, ingest.admin_token)
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        transfer = await tus.created(len(content), path.name, **metadata)
        assert (await tus.send(transfer, 0, content)).status_code == 204
        metadata.pop("calibration", None)  # said once, it holds for the group
    upload = await upload_of(ingest, path.name)
    await ingest.end_group_wait(upload.id)
    async with ingest.replica():
        return await ingest.ended(upload)


async def stored_values(ingest: Ingest, item: str):
    store = zarr.storage.FsspecStore.from_url(
        f"{ingest.storage_url}/blobs/cubes/{COLLECTION}/{item}/cube.zarr",
        storage_options={"headers": {"Authorization": f"Bearer {ingest.admin_token}"}},
        read_only=True,
    )
    group = await zarr.api.asynchronous.open_group(store, mode="r")
    return await (await group.getitem("cube")).getitem(...)


def capture(folder, name, panel=1.0):
    """A raw scene and its references, one element dead, written by spectral; its reflectance."""
    random = np.random.default_rng(11)
    frames = {
        f"DARKREF_{name}": random.integers(95, 105, (6, *SHAPE[1:])),
        f"WHITEREF_{name}": random.integers(3000, 3500, (4, *SHAPE[1:])),
        name: random.integers(200, 3000, SHAPE),
    }
    frames[f"WHITEREF_{name}"][:, 7, 5] = 0
    for each, values in frames.items():
        spectral.envi.save_image(
            str(folder / f"{each}.hdr"), values.astype(np.uint16), ext=".raw", interleave="bil",
            metadata={"tint": 4 if each.startswith("WHITE") else 10},
        )  # fmt: skip
    dark, white = (frames[f"{kind}_{name}"].mean(axis=0) for kind in ("DARKREF", "WHITEREF"))
    expected = (frames[name] - dark) / (white - dark) * 4 / 10 * panel
    expected[:, 7, 5] = (expected[:, 7, 4] + expected[:, 7, 6]) / 2
    return expected.transpose(2, 0, 1)


async def test_a_capture_becomes_reflectance(idle_ingest: Ingest, tmp_path):
    wavelengths = np.linspace(400, 950, SHAPE[2])
    panel = np.interp(wavelengths, [400, 1000], [0.99, 0.93])
    expected = capture(tmp_path, "leaf", panel)
    (tmp_path / "SRT-99.csv").write_text("wavelength (nm),reflectance (%)\n400,99\n1000,93\n")
    ended = await sent_by_tus(
        idle_ingest, tmp_path, group="leaf", calibration="reflectance",
        white_reflectance="SRT-99.csv", metadata=json.dumps({"wavelengths": [*wavelengths]}),
    )  # fmt: skip
    assert (ended.state, ended.error, ended.item) == (UploadState.SUCCEEDED, None, "leaf")
    stored = await stored_values(idle_ingest, "leaf")
    assert stored.dtype == np.float32
    np.testing.assert_allclose(stored, expected, rtol=2e-6)
    item = await idle_ingest.catalog.item(COLLECTION, "leaf", token=idle_ingest.admin_token)
    assert item["properties"]["hsi:calibration"] == "reflectance"
    assert item["properties"]["hsi:exposure_ratio"] == pytest.approx(0.4)
    assert item["properties"]["hsi:repaired_elements"] == 1
    assert item["properties"]["hsi:white_reflectance_file"] == "SRT-99.csv"
    assert item["properties"]["hsi:white_reflectance"] == pytest.approx([*panel], abs=1e-6)
    assert any("/processing/" in url for url in item["stac_extensions"])
    assert item["assets"]["cube"]["unit"] == "1"
    originals = {asset["title"] for asset in item["assets"].values() if "file:checksum" in asset}
    assert originals == {path.name for path in tmp_path.iterdir()}
    statistics = json.loads(
        await idle_ingest.storage.get(
            f"cubes/{COLLECTION}/leaf/statistics.json", token=idle_ingest.admin_token
        )
    )
    assert statistics["bands"][5]["mean"] == pytest.approx(expected[5].mean())


async def test_another_panel_is_said_at_another_try(idle_ingest: Ingest, tmp_path):
    """A certificate that does not reach the bands keeps the files; a number, or another file of
    the upload, takes its place."""
    expected = capture(tmp_path, "bark", 0.5)
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    files |= {"short.csv": b"400,0.5\n600,0.5\n", "whole.csv": b"400,0.25\n1000,0.25\n"}
    wavelengths = [*np.linspace(400, 950, SHAPE[2])]
    sent = await idle_ingest.send(
        COLLECTION, files, id="bark", calibration="reflectance", white_reflectance="short.csv",
        metadata={"wavelengths": wavelengths},
    )  # fmt: skip
    client, token = idle_ingest.client, idle_ingest.admin_token
    async with served(idle_ingest.app(worker_enabled=True)):
        failed = await idle_ingest.ended(sent)
        assert (failed.state, failed.error.slug) == (UploadState.FAILED, "metadata-mismatch")
        assert "`white_reflectance`: short.csv has" in failed.error.detail
        with pytest.raises(InvalidInput, match=r"it has .*whole\.csv"):
            await client.retry(sent.id, white_reflectance="other.csv", token=token)
        with pytest.raises(InvalidInput, match=r"0\.99 for 99 %"):
            await client.retry(sent.id, white_reflectance=99, token=token)
        await client.retry(sent.id, CubeMetadata(wavelengths=[5]), token=token)
        failed = await idle_ingest.ended(sent)
        assert "1 wavelengths" in failed.error.detail  # the certificate is still what counts
        await client.retry(sent.id, white_reflectance=0.5, token=token)
        failed = await idle_ingest.ended(sent)
        assert "cube has 12 bands" in failed.error.detail  # and the wavelengths what they were
        right = CubeMetadata(wavelengths=wavelengths)
        await client.retry(sent.id, right, white_reflectance="whole.csv", token=token)
        assert (await idle_ingest.ended(sent)).error is None
    np.testing.assert_allclose(await stored_values(idle_ingest, "bark"), expected / 2, rtol=2e-6)


async def test_a_zipped_capture_is_one_scene(idle_ingest: Ingest, tmp_path):
    """The references go with the scene, the calibration and its panel with the archive's upload."""
    expected = capture(tmp_path, "root", 0.5)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as made:
        for path in sorted(tmp_path.iterdir()):
            made.write(path, f"2024/capture/{path.name}")
    files = {"session.zip": archive.getvalue()}
    sent = await idle_ingest.send(
        COLLECTION, files, calibration="reflectance", white_reflectance=0.5
    )
    async with served(idle_ingest.app(worker_enabled=True)):
        await idle_ingest.ended(sent)
        scene = await idle_ingest.ended(await upload_of(idle_ingest, "DARKREF_root.raw"))
    assert (scene.state, scene.error, scene.item) == (UploadState.SUCCEEDED, None, "root")
    np.testing.assert_allclose(await stored_values(idle_ingest, "root"), expected, rtol=2e-6)


async def test_a_calibration_that_is_unknown_is_refused(idle_ingest: Ingest):
    tus = Tus(idle_ingest.http, idle_ingest.url, idle_ingest.admin_token)
    metadata = {"collection": COLLECTION, "filename": "a.raw", "calibration": "radiance"}
    answer = await tus.create(1, metadata=metadata)
    assert answer.status_code == 400
    assert "'none' or 'reflectance'" in answer.json()["detail"]


async def test_a_stored_cube_is_sent_back_as_zarr(idle_ingest: Ingest):
    """A download is an upload: overviews and coordinates are told from the cube."""
    values = np.random.default_rng(2).integers(0, 900, (5, 40, 600)).astype(np.int16)
    header = (
        "ENVI\nsamples = 600\nlines = 40\nbands = 5\ndata type = 2\ninterleave = bsq\n"
        "wavelength = {0.4, 0.5, 0.6, 0.7, 0.8}\nwavelength units = um\nbbl = {1, 1, 0, 1, 1}\n"
        "data ignore value = 7\nmap info = {UTM, 1, 1, 5e5, 58e5, 30, 30, 33, North, WGS-84}\n"
    )
    files = {"scan.hdr": header.encode(), "scan.raw": values.tobytes()}
    token = idle_ingest.admin_token
    async with served(idle_ingest.app(worker_enabled=True)):
        await idle_ingest.ended(await idle_ingest.send(COLLECTION, files, id="scan"))
        prefix = f"cubes/{COLLECTION}/scan/cube.zarr/"
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as made:
            for key in await idle_ingest.keys(prefix):
                content = await idle_ingest.storage.get(key, token=token)
                made.writestr("cube.zarr/" + key.removeprefix(prefix), content)
        sent = await idle_ingest.send(COLLECTION, {"again.zarr.zip": archive.getvalue()})
        ended = await idle_ingest.ended(sent)
    assert (ended.state, ended.error) == (UploadState.SUCCEEDED, None)
    first, second = [
        await idle_ingest.catalog.item(COLLECTION, item, token=token)
        for item in ("scan", ended.item)
    ]
    np.testing.assert_array_equal(await stored_values(idle_ingest, ended.item), values)
    for name in ("bands", "data_type", "nodata"):
        assert second["assets"]["cube"][name] == first["assets"]["cube"][name]
    assert second["bbox"] == pytest.approx(first["bbox"])
    assert second["properties"]["proj:code"] == "EPSG:32633"


async def test_labels_of_a_cube(idle_ingest: Ingest):
    """Ground truth beside a cube: stored, named in the item, checked, and gone with either."""
    token = idle_ingest.admin_token
    truth = np.random.default_rng(4).integers(0, 3, (6, 8)).astype(np.uint8)
    async with served(idle_ingest.app(worker_enabled=True)):
        sent = await idle_ingest.send(COLLECTION, {"field.npy": npy(np.ones((6, 8, 4)))})
        await idle_ingest.ended(sent)
        key = f"raw/{COLLECTION}/labels-1/gt.npy"
        await idle_ingest.storage.put(key, npy(truth), token=token)
        request = LabelRequest(name="truth", files=[key], class_names=["corn", "oats"])
        made = await idle_ingest.client.add_labels(COLLECTION, "field", request, token=token)
        assert [(each.title, each.pixels) for each in made.classes] == [
            ("corn", (truth == 1).sum()),
            ("oats", (truth == 2).sum()),
        ]
        assert (made.nodata, made.unlabelled_pixels) == (0, (truth == 0).sum())
        item = await idle_ingest.catalog.item(COLLECTION, "field", token=token)
        asset = item["assets"]["labels-truth"]
        assert asset["roles"] == ["labels"]
        assert [entry["title"] for entry in asset["classification:classes"]] == [
            "None", "corn", "oats"
        ]  # fmt: skip
        stored = asset["href"].partition("/blobs/")[2]
        assert re.fullmatch(f"raw/{COLLECTION}/[0-9a-f-]{{36}}/truth.tif", stored)
        content = await idle_ingest.storage.get(stored, token=token)
        assert asset["file:checksum"] == "1220" + hashlib.sha256(content).hexdigest()
        np.testing.assert_array_equal(tifffile.imread(io.BytesIO(content)), truth)
        assert asset["file:size"] == len(content)
        with pytest.raises(Conflict, match="has labels 'truth' already"):
            await idle_ingest.client.add_labels(COLLECTION, "field", request, token=token)
        await idle_ingest.client.remove_labels(COLLECTION, "field", "truth", token=token)
        item = await idle_ingest.catalog.item(COLLECTION, "field", token=token)
        assert "labels-truth" not in item["assets"]
        assert await idle_ingest.keys(stored) == []
        with pytest.raises(NotFound, match="no labels 'truth'"):
            await idle_ingest.client.remove_labels(COLLECTION, "field", "truth", token=token)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"files": ["raw/elsewhere/a/gt.npy"]}, InvalidInput, "keys under raw/tus/ are right"),
        ({"files": ["raw/tus/labels-2/none.npy"]}, NotFound, r"no blob .*none\.npy"),
        ({"files": ["raw/tus/labels-2/gt.npy"]}, InvalidInput, "5 rows x 8 columns; the cube has"),
        ({"files": ["raw/tus/labels-2/gt.npy"] * 2}, InvalidInput, "the same name"),
        ({"item": "missing"}, NotFound, "missing"),
        ({"token": "none"}, Unauthenticated, "token"),
    ],
)
async def test_labels_that_cannot_be(idle_ingest: Ingest, changes, error, message):
    token = idle_ingest.admin_token
    async with served(idle_ingest.app(worker_enabled=True)):
        with suppress(Conflict):
            files = {"field2.npy": npy(np.ones((6, 8, 4)))}
            await idle_ingest.ended(await idle_ingest.send(COLLECTION, files))
    await idle_ingest.storage.put("raw/tus/labels-2/gt.npy", npy(np.ones((5, 8))), token=token)
    if "token" in changes:
        token = idle_ingest.make_token("someone")
    request = LabelRequest(name="gt", files=changes.get("files", ["raw/tus/labels-2/gt.npy"]))
    with pytest.raises(error, match=message):
        await idle_ingest.client.add_labels(
            COLLECTION, changes.get("item", "field2"), request, token=token
        )
    keys = await idle_ingest.keys(f"raw/{COLLECTION}/")
    assert not any(key.endswith("/gt.tif") for key in keys)

"""Whole jobs through the real platform."""

import asyncio
import hashlib
import io
import json
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from hsis.clients.base import problem_of
from hsis.contracts.blobs import item_prefix, statistics_key, thumbnail_key
from hsis.contracts.jobs import JobStatus
from hsis.contracts.spectra import NewSpectrum
from hsis.cube.layout import overview_shape, store_documents
from hsis.errors import Conflict, DomainError, InvalidInput, NotFound
from hsis_inference.device import Device
from hsis_inference.jobs import Job
from hsis_inference.repository.blocks import Lease
from hsis_inference.steps import Steps
from tests.inference.conftest import LAB
from tests.inference.platform import ACQUIRED, PLACE, Bench
from tests.support.servers import ready

WAVELENGTHS = (460.0, 550.0, 640.0, 860.0)
TRANSFORM = (30.0, 0.0, 500000.0, 0.0, -30.0, 5800000.0)
RANDOM = np.random.default_rng(2)
CUBE = RANDOM.integers(1, 4000, (4, 300, 600)).astype(np.int16)
CUBE[:, 7, 9] = -1


@pytest.fixture(scope="module", autouse=True)
async def _source(bench: Bench) -> None:
    await bench.store(
        LAB,
        "scene",
        CUBE,
        wavelengths_nm=WAVELENGTHS,
        nodata=-1,
        transform=TRANSFORM,
        crs_wkt='LOCAL_CS["here"]',
    )


async def values_of(bench: Bench, item: str, factor: int = 1) -> np.ndarray:
    cube = await bench.cube(LAB, item)
    shape = overview_shape(cube.info.shape, factor)
    return await cube.read(None, (0, shape[1]), (0, shape[2]), factor)


async def test_normalized_difference(bench: Bench) -> None:
    job = await bench.run("normalized-difference", collection=LAB, item="scene")
    assert job.status is JobStatus.SUCCESSFUL, job
    assert job.progress == 100
    item = await bench.result(job)
    a, b = CUBE[3].astype(np.float64), CUBE[2].astype(np.float64)
    expected = ((a - b) / (a + b)).astype(np.float32)
    expected[7, 9] = np.nan
    found = await values_of(bench, item["id"])
    np.testing.assert_array_equal(found[0], expected)
    properties = item["properties"]
    assert properties["hsi:process"] == "normalized-difference"
    assert properties["hsi:parameters"] == {"wavelength_a_nm": 860, "wavelength_b_nm": 650}
    assert properties["hsi:device"] == "cpu"
    assert properties["hsi:job"] == job.job_id
    assert properties["hsi:code_version"] == "0.1.0"
    assert set(properties["processing:software"]) == {"hsis-inference", "torch"}
    assert properties["datetime"] == ACQUIRED.isoformat().replace("+00:00", "Z")
    assert properties["hsi:datetime_source"] == "acquisition"
    assert properties["proj:code"] == "EPSG:32633"
    assert item["geometry"] == PLACE.geometry
    assert item["bbox"] == list(PLACE.bbox)
    [source] = [link["href"] for link in item["links"] if link["rel"] == "derived_from"]
    assert source.endswith(f"/stac/collections/{LAB}/items/scene")
    info = (await bench.cube(LAB, item["id"])).info
    assert info.transform == TRANSFORM
    assert info.crs_wkt == 'LOCAL_CS["here"]'
    statistics = json.loads(await bench.get(statistics_key(LAB, item["id"])))
    [band] = statistics["bands"]
    assert band["valid_count"] == 300 * 600 - 1
    assert band["mean"] == pytest.approx(np.nanmean(expected.astype(np.float64)))
    assert (await bench.get(thumbnail_key(LAB, item["id"])))[8:12] == b"WEBP"
    documents = len(store_documents(info))
    shards = 2 * 2 + 1  # 300 x 600 in shards of 256 x 512, and the overview of 150 x 300
    stored = await bench.keys(LAB, item["id"])
    assert len(stored) == documents + shards + 3
    prefix = item_prefix(LAB, item["id"])
    checksums = json.loads(await bench.get(prefix + "checksums.json"))["objects"]
    assert {prefix + key for key in checksums} == {*stored} - {prefix + "checksums.json"}
    for key, told in checksums.items():
        content = await bench.get(prefix + key)
        assert told == {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}, key


async def test_sam_with_given_and_library_spectra(bench: Bench) -> None:
    library = np.array([500.0, 100.0, 2000.0, 300.0])
    new = NewSpectrum(
        collection=LAB, name="soil", values=library.tolist(), wavelengths_nm=list(WAVELENGTHS)
    )
    await bench.catalog.add_spectrum(new, token=bench.token)
    inline = np.array([1.0, 2.0, 3.0, 4.0])
    inputs: dict[str, Any] = {"spectra": [{"name": "ramp", "values": inline.tolist()}]}
    job = await bench.run(
        "sam", collection=LAB, item="scene", library=["soil"], id="classes", **inputs
    )
    assert job.status is JobStatus.SUCCESSFUL, job
    item = await bench.result(job)
    assert item["id"] == "classes"
    pixels = CUBE.reshape(4, -1).astype(np.float64)
    spectra = np.stack([inline, library])
    cosines = (spectra @ pixels) / np.outer(
        np.linalg.norm(spectra, axis=1), np.linalg.norm(pixels, axis=0)
    )
    expected = (np.arccos(cosines).argmin(axis=0) + 1).reshape(300, 600)
    expected[7, 9] = 0
    found = await values_of(bench, "classes")
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found[0], expected)
    np.testing.assert_array_equal(await values_of(bench, "classes", 2), found[:, ::2, ::2])
    classes = item["assets"]["cube"]["classification:classes"]
    assert [(entry["value"], entry["title"]) for entry in classes] == [
        (0, "None"),
        (1, "ramp"),
        (2, "soil"),
    ]
    colours = {entry["value"]: bytes.fromhex(entry["color_hint"]) for entry in classes}
    thumbnail = await bench.storage.get(thumbnail_key(LAB, "classes"), token=bench.service_token)
    picture = np.asarray(Image.open(io.BytesIO(thumbnail)).convert("RGBA"))
    seen = {bytes(pixel[:3]) for pixel in picture.reshape(-1, 4) if pixel[3]}
    assert seen <= {colours[1], colours[2]}
    again = {"collection": LAB, "item": "scene", "id": "classes", "library": ["soil"]}
    with pytest.raises(Conflict, match="there is an item 'classes'"):
        await bench.processing.execute("sam", again, token=bench.token)


async def test_an_id_that_an_upload_is_making_is_refused(bench: Bench) -> None:
    reservation = {"collection": LAB, "item": "arriving", "holder": "upload:1"}
    address = f"{bench.platform.catalog_url}/stac/reservations"
    headers = {"Authorization": f"Bearer {bench.service_token}"}
    await bench.http.post(address, json=reservation, headers=headers)
    inputs = {"collection": LAB, "item": "scene", "id": "arriving"}
    with pytest.raises(Conflict, match="just making the item 'arriving'"):
        await bench.processing.execute("rx", inputs, token=bench.token)
    await bench.http.delete(address, params=reservation, headers=headers)
    job = await bench.run("rx", **inputs)
    assert (await bench.result(job))["id"] == "arriving"
    # The registered item ended the job's own reservation.
    other = reservation | {"holder": "upload:2"}
    answer = await bench.http.post(address, json=other, headers=headers)
    assert answer.status_code == 200, answer.text


async def test_angles_of_more_spectra_than_a_shard_has_bands(bench: Bench) -> None:
    many = RANDOM.random((130, 4)) + 0.1
    spectra = [{"name": f"s{n}", "values": row.tolist()} for n, row in enumerate(many)]
    await bench.store(LAB, "corner", CUBE[:, :20, :30], nodata=-1)
    job = await bench.run("sam", collection=LAB, item="corner", spectra=spectra, output="angle")
    assert job.status is JobStatus.SUCCESSFUL, job
    found = await values_of(bench, (await bench.result(job))["id"])
    pixel = CUBE[:, 19, 29].astype(np.float64)
    cosines = many @ pixel / (np.linalg.norm(many, axis=1) * np.linalg.norm(pixel))
    np.testing.assert_allclose(found[:, 19, 29], np.arccos(cosines), rtol=1e-6)
    assert np.isnan(found[:, 7, 9]).all()


async def test_rx(bench: Bench) -> None:
    job = await bench.run("rx", collection=LAB, item="scene")
    assert job.status is JobStatus.SUCCESSFUL, job
    valid = (CUBE != -1).all(axis=0)
    pixels = CUBE[:, valid].astype(np.float64)
    centred = pixels - pixels.mean(axis=1, keepdims=True)
    expected = np.einsum("ip,ij,jp->p", centred, np.linalg.inv(np.cov(pixels)), centred)
    found = (await values_of(bench, (await bench.result(job))["id"]))[0]
    np.testing.assert_allclose(found[valid], expected, rtol=1e-5)
    assert np.isnan(found[7, 9])


async def test_a_job_that_cannot_succeed_fails_with_its_problem_and_leaves_nothing(
    bench: Bench,
) -> None:
    await bench.store(LAB, "empty", np.full((2, 3, 3), np.nan, np.float32))
    job = await bench.run("rx", collection=LAB, item="empty", id="nothing")
    assert job.status is JobStatus.FAILED
    assert job.error is not None
    assert job.error.slug == "not-enough-pixels"
    with pytest.raises(InvalidInput) as raised:
        await bench.processing.results(job.job_id, token=bench.token)
    problem = problem_of(raised.value)
    assert problem is not None
    assert problem.slug == "not-enough-pixels"
    assert await bench.keys(LAB, "nothing") == []


async def test_dismissing_a_job_removes_what_it_stored(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    perform, asked = Steps.perform, asyncio.Event()

    async def held(self: Steps, job: Job, lease: Lease, device: Device) -> bytes | None:
        await asked.wait()  # the job is not at its end when it is dismissed
        return await perform(self, job, lease, device)

    monkeypatch.setattr(Steps, "perform", held)
    inputs = {"collection": LAB, "item": "scene", "id": "dismissed"}
    job = await bench.processing.execute("rx", inputs, token=bench.token)
    dismissed = await bench.processing.dismiss(job.job_id, token=bench.token)
    assert dismissed.status is JobStatus.DISMISSED
    asked.set()
    with pytest.raises(NotFound):
        await bench.processing.results(job.job_id, token=bench.token)
    async with asyncio.timeout(60):
        while True:
            try:
                again = await bench.run("rx", **inputs)
                break
            except Conflict:  # until the sweep has freed the id
                await asyncio.sleep(0.2)
    assert again.status is JobStatus.SUCCESSFUL
    await bench.processing.dismiss(job.job_id, token=bench.token)  # forgets it
    with pytest.raises(NotFound) as raised:
        await bench.processing.job(job.job_id, token=bench.token)
    problem = problem_of(raised.value)
    assert problem is not None
    assert problem.slug == "no-such-job"
    assert await bench.keys(LAB, "dismissed") != []


async def test_events_tell_every_change_until_the_end(bench: Bench) -> None:
    inputs = {"collection": LAB, "item": "scene"}
    job = await bench.processing.execute("rx", inputs, token=bench.token)
    url = f"{bench.platform.inference_url}/processing/jobs/{job.job_id}/events"
    told = []
    async with bench.http.stream("GET", url, headers=bearer(bench.token)) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        async for line in response.aiter_lines():
            if line.startswith("data: "):
                told.append(json.loads(line.removeprefix("data: ")))
    assert told[-1]["status"] == "successful"
    assert {event["jobID"] for event in told} == {job.job_id}
    progress = [event["progress"] for event in told]
    assert progress == sorted(progress)


@pytest.mark.parametrize(
    ("process", "inputs", "error", "words"),
    [
        ("rx", {"item": "none"}, InvalidInput, "item: there is no item 'none'"),
        ("rx", {"bands": [9]}, InvalidInput, "bands: there is no band 9"),
        ("rx", {"bandz": [1]}, InvalidInput, "bandz: "),
        ("rx", {"id": "a/b"}, InvalidInput, "id: "),
        ("rx", {"collection": "other"}, NotFound, "'other'"),
        ("sam", {}, InvalidInput, "spectra: there is none"),
        ("sam", {"library": ["moon"]}, InvalidInput, "library: .*'moon'"),
        ("sam", {"output": "x"}, InvalidInput, "output: "),
        ("nope", {}, NotFound, "there are normalized-difference, sam, rx"),
    ],
)
async def test_wrong_inputs_are_told_at_once(
    bench: Bench, process: str, inputs: dict[str, Any], error: type[DomainError], words: str
) -> None:
    given = {"collection": LAB, "item": "scene"} | inputs
    with pytest.raises(error, match=words):
        await bench.processing.execute(process, given, token=bench.token)


async def test_the_answer_to_an_execution(bench: Bench) -> None:
    url = f"{bench.platform.inference_url}/processing/processes/rx/execution"
    body = {"inputs": {"collection": LAB, "item": "scene"}}
    answer = await bench.http.post(url, json=body, headers=bearer(bench.token))
    assert answer.status_code == 201
    assert answer.headers["Preference-Applied"] == "respond-async"
    job = answer.json()
    assert answer.headers["Location"].endswith(f"/processing/jobs/{job['jobID']}")
    assert job["status"] == "accepted"
    for broken in (b"{", b"[]", b'{"inputs": 3}', b"\xff"):
        answer = await bench.http.post(url, content=broken, headers=bearer(bench.token))
        assert answer.status_code == 400
        assert answer.headers["content-type"] == "application/problem+json"
    big = b'{"inputs": {"x": "' + b"y" * 9_000_000 + b'"}}'
    assert (await bench.http.post(url, content=big, headers=bearer(bench.token))).status_code == 413


async def test_descriptions(bench: Bench) -> None:
    async def get(path: str) -> httpx.Response:
        return await bench.http.get(f"{bench.platform.inference_url}{path}")

    await ready(bench.http, bench.platform.inference_url)
    assert (await get("/processing")).json()["links"]
    assert any(
        "conf/core" in name for name in (await get("/processing/conformance")).json()["conformsTo"]
    )
    found = (await get("/processing/processes")).json()["processes"]
    assert [process["id"] for process in found] == ["normalized-difference", "sam", "rx"]
    sam = (await get("/processing/processes/sam")).json()
    assert sam["inputs"]["output"]["schema"] == {
        "type": "string",
        "enum": ["class", "angle"],
        "default": "class",
    }
    assert sam["inputs"]["collection"]["minOccurs"] == 1
    assert sam["inputs"]["max_angle_rad"]["minOccurs"] == 0
    assert sam["inputs"]["max_angle_rad"]["schema"]["type"] == "number"
    assert sam["inputs"]["spectra"]["schema"]["items"]["properties"]["values"]["type"] == "array"
    assert "$ref" not in json.dumps(sam)
    assert (await get("/processing/processes/none")).status_code == 404
    paths = (await get("/processing/openapi.json")).json()["paths"]
    assert "/processing/processes/{process}/execution" in paths


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_a_result_counts_to_the_quota_and_is_refused_beyond_it(bench: Bench) -> None:
    place = "counted-lab"
    await bench.catalog.create_collection({"id": place, "description": "x"}, token=bench.token)
    await bench.store(place, "scene", CUBE[:, :40, :50])
    before = await bench.catalog.quota(place, token=bench.token)
    job = await bench.run("rx", collection=place, item="scene", id="counted")
    assert job.status is JobStatus.SUCCESSFUL, job
    keys = await bench.keys(place, "counted")
    stored = sum([len(await bench.get(key)) for key in keys if "checksums.json" not in key])
    after = await bench.catalog.quota(place, token=bench.token)
    assert after.used_bytes - before.used_bytes == stored
    assert (before.reserved_bytes, after.reserved_bytes) == (0, 0)
    await bench.catalog.set_quota(place, after.used_bytes + 1000, token=bench.token)
    try:
        with pytest.raises(DomainError) as refused:
            await bench.run("rx", collection=place, item="scene", id="too-much")
    finally:
        await bench.catalog.set_quota(place, None, token=bench.token)
    problem = problem_of(refused.value)
    assert problem is not None
    assert (problem.status, problem.slug) == (413, "quota-exceeded")
    again = await bench.run("rx", collection=place, item="scene", id="too-much")
    assert again.status is JobStatus.SUCCESSFUL, again

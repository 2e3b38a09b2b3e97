"""Who may run processes, and who sees which job."""

import uuid
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest

from hsis.contracts.jobs import JobInfo, JobStatus
from hsis.errors import Forbidden, NotFound, Unauthenticated
from tests.inference.platform import Bench

PRIVATE, PUBLIC = "private", "public"
STRANGER, PASSWORD = "stranger", "password-of-a-stranger"

Signer = Callable[..., str]


@pytest.fixture(scope="module")
async def job(bench: Bench) -> JobInfo:
    """An ended job of the administrator in a collection that nobody else sees."""
    document: dict[str, Any] = {"id": PRIVATE, "description": "private"}
    await bench.catalog.create_collection(document, token=bench.token)
    await bench.store(PRIVATE, "scene", np.random.default_rng(1).random((3, 20, 30)))
    made = await bench.run("rx", collection=PRIVATE, item="scene")
    assert made.status is JobStatus.SUCCESSFUL, made
    return made


async def listed(bench: Bench, token: str) -> list[str]:
    response = await bench.http.get(
        f"{bench.platform.inference_url}/processing/jobs",
        headers={"Authorization": f"Bearer {token}"},
    )
    assert response.status_code == 200, response.text
    return [entry["jobID"] for entry in response.json()["jobs"]]


async def test_nobody_sees_jobs_without_a_token(bench: Bench, job: JobInfo) -> None:
    for path in ("", f"/{job.job_id}", f"/{job.job_id}/results", f"/{job.job_id}/events"):
        url = f"{bench.platform.inference_url}/processing/jobs{path}"
        assert (await bench.http.get(url)).status_code == 401
        forged = {"Authorization": f"Bearer {bench.token[:-8]}AAAAAAAA"}
        assert (await bench.http.get(url, headers=forged)).status_code == 401
    with pytest.raises(Unauthenticated):
        await bench.processing.execute("rx", {"collection": PRIVATE, "item": "scene"})


async def test_a_stranger_learns_nothing(bench: Bench, job: JobInfo) -> None:
    stranger = await stranger_token(bench)
    for call in (bench.processing.job, bench.processing.results, bench.processing.dismiss):
        with pytest.raises(NotFound, match="no job"):
            await call(job.job_id, token=stranger)
    with pytest.raises(NotFound):
        await bench.processing.execute(
            "rx", {"collection": PRIVATE, "item": "scene"}, token=stranger
        )
    assert job.job_id not in await listed(bench, stranger)
    assert job.job_id in await listed(bench, bench.token)


async def test_a_token_of_another_collection_opens_nothing(
    bench: Bench, job: JobInfo, make_token: Signer
) -> None:
    me = (await whoami(bench))["id"]
    limited = make_token(subject=me, admin=True, collections=["another"])
    with pytest.raises(Forbidden, match="opens only the collections another"):
        await bench.processing.job(job.job_id, token=limited)
    with pytest.raises(Forbidden):
        await bench.processing.dismiss(job.job_id, token=limited)
    with pytest.raises(Forbidden):
        await bench.processing.execute(
            "rx", {"collection": PRIVATE, "item": "scene"}, token=limited
        )
    assert await listed(bench, limited) == []


async def test_a_token_that_only_reads_starts_and_ends_nothing(
    bench: Bench, job: JobInfo, make_token: Signer
) -> None:
    me = (await whoami(bench))["id"]
    reader = make_token(subject=me, admin=True, scopes=("read",))
    assert (await bench.processing.job(job.job_id, token=reader)).job_id == job.job_id
    with pytest.raises(Forbidden, match="write"):
        await bench.processing.dismiss(job.job_id, token=reader)
    with pytest.raises(Forbidden, match="write"):
        await bench.processing.execute("rx", {"collection": PRIVATE, "item": "scene"}, token=reader)


async def test_a_viewer_sees_jobs_but_may_not_run_or_dismiss(
    bench: Bench,
) -> None:
    document = {"id": PUBLIC, "description": "public"}
    await bench.catalog.create_collection(document, token=bench.token)
    await make_public(bench)
    await bench.store(PUBLIC, "scene", np.random.default_rng(1).random((3, 20, 30)))
    made = await bench.run("rx", collection=PUBLIC, item="scene")
    viewer = await stranger_token(bench)
    assert (await bench.processing.job(made.job_id, token=viewer)).status is JobStatus.SUCCESSFUL
    assert made.job_id in await listed(bench, viewer)
    with pytest.raises(Forbidden, match="owner"):
        await bench.processing.dismiss(made.job_id, token=viewer)
    with pytest.raises(Forbidden, match="editor"):
        await bench.processing.execute("rx", {"collection": PUBLIC, "item": "scene"}, token=viewer)


async def test_no_such_job(bench: Bench) -> None:
    for name in (str(uuid.uuid4()), "not-a-job"):
        with pytest.raises(NotFound, match="no job"):
            await bench.processing.job(name, token=bench.token)


async def stranger_token(bench: Bench) -> str:
    """Of a user with no role anywhere."""
    await bench.http.post(
        f"{bench.platform.catalog_url}/auth/users",
        json={"name": STRANGER, "password": PASSWORD},
        headers=bearer(bench.token),
    )
    return (await bench.catalog.login(STRANGER, PASSWORD)).access_token


async def whoami(bench: Bench) -> dict[str, Any]:
    response = await bench.http.get(
        f"{bench.platform.catalog_url}/auth/me", headers=bearer(bench.token)
    )
    return dict(response.json())


async def make_public(bench: Bench) -> None:
    response: httpx.Response = await bench.http.put(
        f"{bench.platform.catalog_url}/auth/collections/{PUBLIC}/public",
        json={"public": True},
        headers=bearer(bench.token),
    )
    assert response.status_code < 300, response.text


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}

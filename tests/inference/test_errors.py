"""Every error has its place in the table, and its type."""

import importlib
import pkgutil
import uuid

import httpx
import numpy as np

import hsis_inference
from hsis.clients.base import error_of, problem_of
from hsis.errors import COMMON_PROBLEMS, DomainError
from hsis_inference.errors import PROBLEMS
from tests.inference.conftest import LAB
from tests.inference.platform import Bench


def _subclasses(kind: type[DomainError]) -> set[type[DomainError]]:
    return {kind}.union(*(_subclasses(child) for child in kind.__subclasses__()))


def test_every_error_of_the_service_is_mapped() -> None:
    for module in pkgutil.walk_packages(hsis_inference.__path__, "hsis_inference."):
        importlib.import_module(module.name)
    own = {
        error
        for error in _subclasses(DomainError) - {DomainError}
        if error.__module__.startswith(("hsis_inference", "hsis.errors"))
    }
    assert own == set(PROBLEMS) | set(COMMON_PROBLEMS)
    slugs = [kind.slug for kind in [*PROBLEMS.values(), *COMMON_PROBLEMS.values()]]
    assert len(slugs) == len(set(slugs))


def test_the_status_of_an_error_is_that_of_the_answer() -> None:
    for told in ({"error": "busy"}, {"status": 500, "detail": "busy"}):
        request = httpx.Request("GET", "http://inference/v2")
        problem = problem_of(error_of(httpx.Response(503, json=told, request=request)))
        assert problem is not None
        assert (problem.status, problem.detail) == (503, "busy")


async def test_errors_that_the_standard_names_have_its_types(bench: Bench) -> None:
    """The URIs are those of OGC 18-062r2 (requirements no-such-process, no-such-job,
    results-not-ready)."""
    inputs = {"collection": LAB, "item": "scene"}
    await bench.store(LAB, "scene", np.ones((2, 4, 4), np.float32))
    job = await bench.processing.execute("rx", inputs, token=bench.token)
    await bench.processing.dismiss(job.job_id, token=bench.token)
    for path, name in (
        ("processes/none", "no-such-process"),
        (f"jobs/{uuid.uuid4()}", "no-such-job"),
        ("jobs/none/results", "no-such-job"),
        (f"jobs/{job.job_id}/results", "result-not-ready"),
    ):
        answer = await bench.http.get(
            f"{bench.platform.inference_url}/processing/{path}",
            headers={"Authorization": f"Bearer {bench.token}"},
        )
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"
        wanted = f"http://www.opengis.net/def/exceptions/ogcapi-processes-1/1.0/{name}"
        assert answer.json()["type"] == wanted
        problem = problem_of(error_of(answer))
        assert problem is not None
        assert problem.slug == name

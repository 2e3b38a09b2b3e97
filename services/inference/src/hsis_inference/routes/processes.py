"""/processing: landing page, conformance, processes and their execution."""

from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import ValidationError

from hsis.contracts.jobs import Execution, JobInfo
from hsis.errors import InvalidInput, fault_told
from hsis.service.tokens import RequiredCaller
from hsis.service.urls import public_origin
from hsis_inference.describe import JsonObject, description, summary
from hsis_inference.jobs import job_info
from hsis_inference.processes import PROCESSES, process_of
from hsis_inference.state import InferenceState

router = APIRouter(prefix="/processing", tags=["processes"])

_SPEC = "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/"
CONFORMANCE = [
    _SPEC + name for name in ("core", "ogc-process-description", "json", "job-list", "dismiss")
]
_BODY = {"content": {"application/json": {"schema": Execution.model_json_schema()}}}


@router.get("")
async def landing(request: Request, state: InferenceState) -> JsonObject:
    """What is here."""
    here = f"{public_origin(request, state.settings)}/processing"
    rel = "http://www.opengis.net/def/rel/ogc/1.0/"
    openapi = "application/vnd.oai.openapi+json;version=3.1"
    return {
        "title": "HSIS processing",
        "description": "Processes over hyperspectral cubes",
        "links": [
            {"rel": "self", "href": here, "type": "application/json"},
            {"rel": "service-desc", "href": f"{here}/openapi.json", "type": openapi},
            {"rel": rel + "conformance", "href": f"{here}/conformance"},
            {"rel": rel + "processes", "href": f"{here}/processes"},
            {"rel": rel + "job-list", "href": f"{here}/jobs"},
        ],
    }


@router.get("/conformance")
async def conformance() -> JsonObject:
    """The conformance classes of OGC API Processes that hold here."""
    return {"conformsTo": CONFORMANCE}


@router.get("/processes")
async def processes(request: Request, state: InferenceState) -> JsonObject:
    """The processes on offer."""
    origin = public_origin(request, state.settings)
    here = f"{origin}/processing/processes"
    return {
        "processes": [summary(process, origin) for process in PROCESSES.values()],
        "links": [{"rel": "self", "href": here, "type": "application/json"}],
    }


@router.get("/processes/{process}")
async def process_description(request: Request, state: InferenceState, process: str) -> JsonObject:
    """One process with its inputs (JSON Schema) and its output."""
    return description(process_of(process), public_origin(request, state.settings))


@router.post(
    "/processes/{process}/execution",
    status_code=201,
    response_model=JobInfo,
    response_model_exclude_none=True,
    openapi_extra={"requestBody": _BODY},
)
async def execute(
    request: Request,
    response: Response,
    state: InferenceState,
    caller: RequiredCaller,
    process: str,
) -> Any:
    """Start a job, always asynchronous. For editors of the collection, where the result goes."""
    body = _execution(await request.body())
    job = await state.execution.start(caller, process, body.inputs)
    info = job_info(job, public_origin(request, state.settings))
    response.headers["Location"] = info.links[0].href
    response.headers["Preference-Applied"] = "respond-async"
    return info


def _execution(content: bytes) -> Execution:
    try:
        return Execution.model_validate_json(content)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in fault["loc"]) or "body"
        raise InvalidInput(f'{where}: {fault_told(fault)}; {{"inputs": {{…}}}} is right.') from None

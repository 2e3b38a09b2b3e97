"""/processing/jobs: a job is seen by who started it and by who can see its collection."""

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from hsis.contracts.access import Caller, Role, Scope
from hsis.contracts.jobs import JobInfo, JobStatus
from hsis.errors import NotFound, Unavailable
from hsis.service.access import check_token_limits
from hsis.service.app import PROBLEM_MEDIA_TYPE
from hsis.service.postgres import autocommit, transaction
from hsis.service.tokens import RequiredCaller
from hsis.service.urls import public_origin
from hsis_inference.describe import RESULT
from hsis_inference.errors import NoSuchJob, ResultNotReady
from hsis_inference.jobs import JobState, job_info, result_link
from hsis_inference.repository import jobs
from hsis_inference.state import InferenceState, State

router = APIRouter(prefix="/processing/jobs", tags=["jobs"])

logger = logging.getLogger(__name__)

KEEP_ALIVE_S = 15.0


async def _job_id(job: str) -> uuid.UUID:
    try:
        return uuid.UUID(job)
    except ValueError:
        raise NoSuchJob(f"There is no job {job!r}.") from None


JobId = Annotated[uuid.UUID, Depends(_job_id)]


@router.get("")
async def job_list(
    request: Request,
    state: InferenceState,
    caller: RequiredCaller,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> dict[str, Any]:
    """The newest jobs: the caller's own and those of every collection that the caller can see."""
    caller.require_scope(Scope.READ)
    seen = [entry["id"] for entry in await state.catalog.collections(token=caller.token)]
    async with autocommit(state.pool) as connection:
        only = None if caller.collections is None else sorted(caller.collections)
        found = await jobs.visible(connection, caller.subject, seen, only, limit)
    origin = public_origin(request, state.settings)
    here = {"rel": "self", "href": f"{origin}/processing/jobs", "type": "application/json"}
    return {"jobs": [_document(job_info(job, origin)) for job in found], "links": [here]}


@router.get("/{job}", response_model=JobInfo, response_model_exclude_none=True)
async def job_status(
    request: Request, state: InferenceState, caller: RequiredCaller, job: JobId
) -> Any:
    """Where a job stands."""
    found = await _visible(state, caller, job)
    return job_info(found, public_origin(request, state.settings))


@router.get("/{job}/results")
async def results(
    request: Request, state: InferenceState, caller: RequiredCaller, job: JobId
) -> Response:
    """The result as a link to its STAC Item; the job's own problem where it failed."""
    found = await _visible(state, caller, job)
    if found.status is JobStatus.FAILED and found.error is not None:
        problem = found.error.model_dump(mode="json", exclude_none=True)
        return JSONResponse(problem, found.error.status, media_type=PROBLEM_MEDIA_TYPE)
    if found.status is not JobStatus.SUCCESSFUL:
        raise ResultNotReady(f"Job {job} is {found.status}; it has no result.")
    link = result_link(found, public_origin(request, state.settings))
    return JSONResponse({RESULT: link.model_dump(mode="json", exclude_none=True)})


@router.get("/{job}/events", response_class=StreamingResponse)
async def events(
    request: Request, state: InferenceState, caller: RequiredCaller, job: JobId
) -> StreamingResponse:
    """Server-sent events: the job's status whenever it changes, until it ended (the last one)."""
    found = await _visible(state, caller, job)
    stream = _changes(state, found, public_origin(request, state.settings))
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


@router.delete("/{job}", response_model=JobInfo, response_model_exclude_none=True)
async def dismiss(
    request: Request, state: InferenceState, caller: RequiredCaller, job: JobId
) -> Any:
    """Cancel a job, or forget one that ended. For who started it and owners of its collection."""
    found = await _visible(state, caller, job)
    check_token_limits(caller, found.collection, Role.EDITOR)
    if found.owner != caller.subject:
        await state.access.require(caller, found.collection, Role.OWNER)
    async with transaction(state.pool) as connection:
        # An ended job is only forgotten; its outcome is what the answer tells.
        if not await jobs.end(connection, job, JobStatus.DISMISSED):
            current = await jobs.lock(connection, job)
            await jobs.forget(connection, job)
        else:
            current = await jobs.get(connection, job)
    return job_info(current or found, public_origin(request, state.settings))


async def _visible(state: State, caller: Caller, job: uuid.UUID) -> JobState:
    """The job; NoSuchJob where the caller may not know of it."""
    async with autocommit(state.pool) as connection:
        found = await jobs.get(connection, job)
    if found is None:
        raise NoSuchJob(f"There is no job {job}.")
    check_token_limits(caller, found.collection, Role.VIEWER)
    try:
        # Asked for the job's owner too: catalog refuses a revoked token.
        await state.access.require(caller, found.collection, Role.VIEWER)
    except NotFound:
        if found.owner != caller.subject:
            raise NoSuchJob(f"There is no job {job}.") from None
    return found


async def _changes(state: State, job: JobState, origin: str) -> AsyncIterator[str]:
    """The job's documents as events, one at the start and one a change."""
    told: JobInfo | None = None
    quiet_since = time.monotonic()
    current: JobState | None = job
    while current is not None:
        info = job_info(current, origin)
        if info != told:
            yield f"data: {info.model_dump_json(by_alias=True)}\n\n"
            told, quiet_since = info, time.monotonic()
        elif time.monotonic() - quiet_since >= KEEP_ALIVE_S:
            yield ": still there\n\n"
            quiet_since = time.monotonic()
        if current.status.final:
            return
        await asyncio.sleep(state.settings.events_poll_s)
        try:
            async with autocommit(state.pool) as connection:
                current = await jobs.get(connection, job.id)
        except Unavailable as error:  # the answer has begun: its end tells the client to ask again
            logger.warning("a stream of events ends: %s", error.detail)
            return


def _document(info: JobInfo) -> dict[str, Any]:
    return info.model_dump(mode="json", by_alias=True, exclude_none=True)

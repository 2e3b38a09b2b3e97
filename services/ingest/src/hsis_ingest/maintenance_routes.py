"""HTTP of what is done with stored items: restoring them from the trash, checking them,
looking for what is stored for nothing."""

from collections.abc import AsyncIterator
from contextlib import aclosing

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from hsis.contracts.access import Caller, Role
from hsis.contracts.scrub import ScrubRequest
from hsis.contracts.sweep import Removal, RemovalAnswer
from hsis.contracts.trash import RestoreRequest
from hsis.contracts.uploads import Upload
from hsis.errors import Conflict, NotFound
from hsis.service.tokens import RequiredCaller
from hsis_ingest import restoring
from hsis_ingest.orphans import OrphanSweep
from hsis_ingest.scrubbing import Scrub
from hsis_ingest.state import AppState, State

router = APIRouter(prefix="/ingest", tags=["maintenance"])
NDJSON = "application/x-ndjson"


@router.post("/restore", status_code=201)
async def restore(state: AppState, caller: RequiredCaller, request: RestoreRequest) -> Upload:
    """Make an item again of the original files that an entry of the trash keeps, under its old id
    or another one. For editors."""
    return await restoring.restore(state, caller, request)


@router.post(
    "/scrub",
    response_class=StreamingResponse,
    responses={200: {"content": {NDJSON: {}}, "description": "One JSON object a line"}},
)
async def scrub(
    state: AppState, caller: RequiredCaller, request: ScrubRequest
) -> StreamingResponse:
    """Read everything that is stored for an item, a collection or all of them, what is in the trash
    too, and compare it with the checksums kept: one line an item, a last one with the summary. For
    owners of the collection; of everything, for administrators."""
    if request.collection is None:
        caller.require_admin()
    else:
        await state.access.require(caller, request.collection, Role.OWNER)
        if request.item is not None:  # NotFound now, not in the middle of the answer
            await _require_known(state, caller, request.collection, request.item)
    if state.scrubs.locked():
        raise Conflict(
            f"{state.settings.concurrent_scrubs} checks are just running here "
            "(HSIS_CONCURRENT_SCRUBS); try again later."
        )
    settings = state.settings
    check = Scrub(state.catalog, state.storage, caller.token, settings.scrub_bytes_per_s)
    return StreamingResponse(_lines(state, check, request), media_type=NDJSON)


@router.post(
    "/sweep",
    response_class=StreamingResponse,
    responses={200: {"content": {NDJSON: {}}, "description": "One JSON object a line"}},
)
async def sweep(state: AppState, caller: RequiredCaller) -> StreamingResponse:
    """Report what is stored and known to nobody, and items whose objects are missing: one line
    each, a last one with the summary. Nothing is changed. For administrators."""
    caller.require_admin()
    return StreamingResponse(_report(_sweep(state)), media_type=NDJSON)


@router.post("/sweep/removal")
async def remove_orphans(
    state: AppState, caller: RequiredCaller, removal: Removal
) -> RemovalAnswer:
    """Remove orphans that the report names, each looked at again before. For administrators."""
    caller.require_admin()
    return await _sweep(state).remove(removal.prefixes)


async def _require_known(state: State, caller: Caller, collection: str, item: str) -> None:
    """NotFound where there is no such item, in the trash neither."""
    try:
        await state.catalog.item(collection, item, token=caller.token)
    except NotFound:
        page = await state.catalog.trash(collection, item=item, token=caller.token)
        if not page.entries:
            raise


def _sweep(state: State) -> OrphanSweep:
    grace_s = state.settings.orphan_grace_s
    return OrphanSweep(state.pool, state.own_catalog, state.storage, grace_s)


async def _report(found: OrphanSweep) -> AsyncIterator[bytes]:
    async with aclosing(found.report()) as lines:
        async for line in lines:
            yield line.model_dump_json().encode() + b"\n"


async def _lines(state: State, check: Scrub, request: ScrubRequest) -> AsyncIterator[bytes]:
    async with state.scrubs, aclosing(check.run(request)) as lines:
        async for line in lines:
            yield line.model_dump_json().encode() + b"\n"

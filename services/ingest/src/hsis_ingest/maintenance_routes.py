"""HTTP of what is done with stored items: restoring them from the trash."""

from fastapi import APIRouter

from hsis.contracts.trash import RestoreRequest
from hsis.contracts.uploads import Upload
from hsis.service.tokens import RequiredCaller
from hsis_ingest import restoring
from hsis_ingest.state import AppState

router = APIRouter(prefix="/ingest", tags=["maintenance"])


@router.post("/restore", status_code=201)
async def restore(state: AppState, caller: RequiredCaller, request: RestoreRequest) -> Upload:
    """Make an item again of the original files that an entry of the trash keeps, under its old id
    or another one. For editors."""
    return await restoring.restore(state, caller, request)

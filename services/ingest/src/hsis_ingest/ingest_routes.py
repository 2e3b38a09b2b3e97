"""HTTP of what ingest fetches by itself."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Response

from hsis.contracts.uploads import IngestRequest, Upload
from hsis.service.tokens import RequiredCaller
from hsis_ingest import ingesting
from hsis_ingest.state import AppState

router = APIRouter(prefix="/ingest", tags=["uploads"])


@router.post("", status_code=201)
async def ingest(
    state: AppState,
    caller: RequiredCaller,
    request: IngestRequest,
    response: Response,
    idempotency_key: Annotated[UUID | None, Header()] = None,
) -> Upload:
    """Fetch the files of a cube from URLs or from elsewhere in the store, and convert them.

    The upload is `fetching` at first; `GET /uploads/{upload}` tells how far it is.
    """
    made = await ingesting.announce(state, caller, request, idempotency_key)
    response.headers["Location"] = f"/uploads/{made.id}"
    return made

"""HTTP of what ingest fetches by itself."""

from pathlib import PurePosixPath
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Query, Response
from pydantic import BaseModel

from hsis.contracts.scenes import scene_ids, scenes_of
from hsis.contracts.uploads import (
    FoundScene,
    FoundScenes,
    IngestRequest,
    OriginalItem,
    SceneNames,
    Upload,
)
from hsis.service.tokens import OptionalCaller, RequiredCaller
from hsis_ingest import ingesting
from hsis_ingest.duplicates import items_with
from hsis_ingest.state import AppState

router = APIRouter(prefix="/ingest", tags=["uploads"])


@router.post("/scenes")
async def scenes(request: SceneNames) -> FoundScenes:
    """Which files of a folder belong together, by their names: each scene is an upload."""
    found, beside = scenes_of([PurePosixPath(name) for name in request.names])
    ids = scene_ids(found, request.id)
    return FoundScenes(
        scenes=[
            FoundScene(id=scene_id, names=[str(path) for path in scene])
            for scene_id, scene in zip(ids, found, strict=True)
        ],
        beside=[str(path) for path in beside],
    )


class OriginalItems(BaseModel):
    """Items that were made of a file."""

    items: list[OriginalItem]


@router.get("/originals")
async def originals(
    state: AppState,
    caller: OptionalCaller,
    sha256: Annotated[str, Query(pattern="^[0-9a-fA-F]{64}$", description="Hexadecimal")],
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> OriginalItems:
    """The items that the caller may see and that have an original file with this SHA-256."""
    return OriginalItems(items=await items_with(state, caller, sha256.lower(), limit))


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

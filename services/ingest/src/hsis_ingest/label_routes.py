"""HTTP of label maps of stored cubes."""

from fastapi import APIRouter, Response

from hsis.contracts.ids import ResourceId
from hsis.contracts.labels import LabelMap, LabelRequest
from hsis.service.tokens import RequiredCaller
from hsis_ingest import labels
from hsis_ingest.state import AppState

router = APIRouter(prefix="/ingest/{collection}/{item}/labels", tags=["labels"])


@router.post("", status_code=201)
async def add_labels(
    state: AppState,
    caller: RequiredCaller,
    collection: ResourceId,
    item: ResourceId,
    request: LabelRequest,
    response: Response,
) -> LabelMap:
    """Attach a class raster of the cube's rows and columns, such as ground truth. For editors.

    Its files are sent to `/blobs/raw/{collection}/<folder>/` before, and may be removed then.
    """
    made = await labels.add(state, caller, collection, item, request)
    response.headers["Location"] = made.href
    return made


@router.delete("/{name}", status_code=204)
async def remove_labels(
    state: AppState,
    caller: RequiredCaller,
    collection: ResourceId,
    item: ResourceId,
    name: ResourceId,
) -> None:
    """Take a label map off a cube. For editors."""
    await labels.remove(state, caller, collection, item, name)

"""What the lifespan opens for the requests."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from hsis.service.access import CollectionAccess
from hsis_storage_proxy.limits import ClientLimits
from hsis_storage_proxy.places import KeyTurns, UploadPlaces
from hsis_storage_proxy.settings import Settings
from hsis_storage_proxy.store import BlobStore


@dataclass(frozen=True, slots=True)
class State:
    """Shared by all requests of the process."""

    settings: Settings
    store: BlobStore
    access: CollectionAccess
    uploads: UploadPlaces
    turns: KeyTurns
    limits: ClientLimits


async def state_of(request: Request) -> State:
    """The application's state. Async, since FastAPI sends what is not to a thread of its own."""
    state: State = request.state.state
    return state


AppState = Annotated[State, Depends(state_of)]

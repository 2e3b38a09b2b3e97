"""What the lifespan opens and requests use."""

import asyncio
from dataclasses import dataclass, field
from typing import Annotated

import asyncpg
import httpx
from fastapi import Depends, Request

from hsis.clients.catalog import CatalogClient
from hsis.clients.storage import StorageClient
from hsis.service.access import CollectionAccess
from hsis_ingest.corrections import Corrector
from hsis_ingest.digests import Digests
from hsis_ingest.settings import Settings


@dataclass(frozen=True)
class State:
    """`catalog` acts for the user whose token it is given; `storage` as ingest itself."""

    settings: Settings
    pool: asyncpg.Pool
    http: httpx.AsyncClient
    catalog: CatalogClient
    storage: StorageClient
    access: CollectionAccess
    queue_filled: asyncio.Event
    scrubs: asyncio.Semaphore
    forms: asyncio.Semaphore
    digests: Digests = field(default_factory=Digests)
    labelling: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))

    @property
    def own_catalog(self) -> CatalogClient:
        """Acts as ingest itself."""
        return CatalogClient(self.http, self.settings.catalog_url)

    @property
    def corrector(self) -> Corrector:
        """Corrects stored items, as ingest itself."""
        return Corrector(self.pool, self.storage, self.own_catalog)


def state_of(request: Request) -> State:
    """The lifespan's state."""
    state: State = request.state.state
    return state


async def _state(request: Request) -> State:  # async: else FastAPI asks it in another thread
    return state_of(request)


AppState = Annotated[State, Depends(_state)]

"""What the lifespan opens and requests use."""

import asyncio
from dataclasses import dataclass
from typing import Annotated

import asyncpg
from fastapi import Depends, Request

from hsis.clients.catalog import CatalogClient
from hsis.service.access import CollectionAccess
from hsis_inference.device import Device
from hsis_inference.execution import Execution
from hsis_inference.settings import Settings


@dataclass(frozen=True, slots=True)
class State:
    """Resources of the running service; `device` is done once torch is there."""

    settings: Settings
    pool: asyncpg.Pool
    access: CollectionAccess
    catalog: CatalogClient
    execution: Execution
    device: asyncio.Task[Device]


async def _state(request: Request) -> State:  # async: else FastAPI asks it in another thread
    state: State = request.state.state
    return state


InferenceState = Annotated[State, Depends(_state)]

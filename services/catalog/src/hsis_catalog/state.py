"""What the lifespan opens and requests use."""

from dataclasses import dataclass
from typing import Annotated

import asyncpg
from fastapi import Depends, Request

from hsis_catalog.login import Attempts
from hsis_catalog.passwords import Passwords
from hsis_catalog.settings import Settings
from hsis_catalog.signing import TokenSigner


@dataclass(frozen=True, slots=True)
class State:
    """Resources of the running service."""

    settings: Settings
    pool: asyncpg.Pool
    signer: TokenSigner
    passwords: Passwords
    attempts: Attempts


async def _state(request: Request) -> State:  # async: else FastAPI asks it in another thread
    state: State = request.state.state
    return state


CatalogState = Annotated[State, Depends(_state)]

"""What every command does: connect, run, and tell errors in one line with an exit code."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from json import JSONDecodeError
from typing import NoReturn

import httpx
import typer
from pydantic import ValidationError

from hsis.clients.catalog import CatalogClient
from hsis.clients.ingest import IngestClient
from hsis.clients.processing import ProcessingClient
from hsis.clients.storage import StorageClient
from hsis.clients.tiles import TilesClient
from hsis.credentials import Connection, connection
from hsis.errors import DomainError, Unauthenticated, Unavailable

EXIT_ERROR, EXIT_USAGE, EXIT_UNAUTHENTICATED = 1, 2, 3
TIMEOUT_S, CONNECT_TIMEOUT_S = 60.0, 10.0


@dataclass(frozen=True, slots=True)
class Session:
    """The clients of one command. Every request through `http` carries the token."""

    url: str
    catalog: CatalogClient
    ingest: IngestClient
    processing: ProcessingClient
    storage: StorageClient
    tiles: TilesClient


def execute(action: Callable[[Session], Awaitable[None]], to: Connection | None = None) -> None:
    """Run a command's work; an error ends the program with one line on stderr.

    Exit code 1 for an error, 3 where no valid token is there.
    """
    url = ""
    try:
        found = to or connection()
        url = found.url
        asyncio.run(_connected(action, found))
    except Unauthenticated as error:
        hint = "" if to is not None else " `hsis login` gets a token."
        fail(error.detail + hint, EXIT_UNAUTHENTICATED)
    except Unavailable as error:
        fail(f"{error.detail} Is HSIS running at {url}?")
    except DomainError as error:
        fail(error.detail)
    except (ValidationError, JSONDecodeError):
        fail(f"What {url} answered is not of HSIS. Is the URL right?")
    except BrokenPipeError:
        raise  # who reads stdout has enough, as `head` has: typer ends the program and says nothing
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}" if error.filename else str(error))


def fail(message: str, code: int = EXIT_ERROR) -> NoReturn:
    """End the program with one line on stderr."""
    typer.echo("Error: " + " ".join(message.split()), err=True)
    raise typer.Exit(code)


async def _connected(action: Callable[[Session], Awaitable[None]], to: Connection) -> None:
    async with httpx.AsyncClient(
        headers={"Authorization": f"Bearer {to.token}"} if to.token else {},
        timeout=httpx.Timeout(TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
        trust_env=to.through_proxy,
    ) as http:
        await action(
            Session(
                url=to.url,
                catalog=CatalogClient(http, to.url),
                ingest=IngestClient(http, to.url),
                processing=ProcessingClient(http, to.url),
                storage=StorageClient(http, to.url),
                tiles=TilesClient(http, to.url),
            )
        )

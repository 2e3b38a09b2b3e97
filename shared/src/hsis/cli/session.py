"""What every command does: connect, run, and tell errors in one line with an exit code."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
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
EXIT_SIGNAL = 128
"""The exit code is this and the signal's number, as a shell tells it."""
ENDING = () if sys.platform == "win32" else (signal.SIGTERM, signal.SIGHUP)
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

    Exit code 1 for an error, 3 where no valid token is there. What is not whole is removed where
    a signal ends the program, too.
    """
    url = ""
    ended_by: list[int] = []
    try:
        found = to or connection()
        url = found.url
        asyncio.run(_connected(action, found, ended_by))
    except asyncio.CancelledError:
        if not ended_by:
            raise
        raise typer.Exit(EXIT_SIGNAL + ended_by[0]) from None
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


@contextmanager
def _ended_by_signals(ended_by: list[int]) -> Iterator[None]:
    """Have the signals that would end the program at once (Ctrl-C is none of them) cancel the
    current task, and note them in `ended_by`. One that is ignored, as by nohup, stays so."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None

    def end(number: int) -> None:
        ended_by.append(number)
        task.cancel()

    taken = [number for number in ENDING if signal.getsignal(number) is signal.SIG_DFL]
    for number in taken:
        loop.add_signal_handler(number, end, number)
    try:
        yield
    finally:
        for number in taken:
            loop.remove_signal_handler(number)


async def _connected(
    action: Callable[[Session], Awaitable[None]], to: Connection, ended_by: list[int]
) -> None:
    with _ended_by_signals(ended_by):
        await _run(action, to)


async def _run(action: Callable[[Session], Awaitable[None]], to: Connection) -> None:
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

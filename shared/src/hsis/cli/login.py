"""`hsis login`."""

from typing import Annotated

import typer

from hsis.cli.session import EXIT_USAGE, Session, execute, fail
from hsis.credentials import (
    DEFAULT_URL,
    Connection,
    StoredCredentials,
    checked_url,
    load_credentials,
    save_credentials,
)
from hsis.errors import InvalidInput


def login(
    url: Annotated[
        str | None, typer.Option(envvar="HSIS_URL", help="The last one, or this machine's.")
    ] = None,
    username: Annotated[str, typer.Option()] = "admin",
    password: Annotated[
        str, typer.Option(envvar="HSIS_PASSWORD", prompt=True, hide_input=True, help="Else asked.")
    ] = "",
) -> None:
    """Get a token and keep it for the commands that follow."""
    try:
        found = checked_url(url or _last_url())
    except InvalidInput as error:
        fail(error.detail, EXIT_USAGE)

    async def get_token(session: Session) -> None:
        answer = await session.catalog.login(username, password)
        path = save_credentials(StoredCredentials(url=found, token=answer.access_token))
        hours = answer.expires_in / 3600
        typer.echo(f"{username} is logged in at {found} for {hours:.3g} hours ({path})")

    execute(get_token, Connection(found, None))


def _last_url() -> str:
    try:
        stored = load_credentials()
    except InvalidInput:  # login is what mends a damaged file
        stored = None
    return stored.url if stored else DEFAULT_URL

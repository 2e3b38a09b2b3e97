"""`hsis quota`: how much may be stored in a collection, and how much is."""

from typing import Annotated

import typer
from pydantic import ValidationError

from hsis.cli.output import print_json, print_rows
from hsis.cli.session import EXIT_USAGE, Session, execute, fail
from hsis.contracts.quota import MAX_BYTES, QuotaRequest

NO_LIMIT = "none"


def quota(
    collection: str,
    allowed: Annotated[
        str | None,
        typer.Option("--set", metavar="BYTES", help="For administrators; `none` for no limit."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """How many bytes may be stored in a collection, and how many are."""
    try:
        limit = QuotaRequest.model_validate(
            {"allowed_bytes": None if allowed == NO_LIMIT else allowed}
        ).allowed_bytes
    except ValidationError:
        fail(
            f"--set {allowed!r:.80}: a number of bytes up to {MAX_BYTES}, or `none`, is right.",
            EXIT_USAGE,
        )

    async def show(session: Session) -> None:
        if allowed is None:
            found = await session.catalog.quota(collection)
        else:
            found = await session.catalog.set_quota(collection, limit)
        if as_json:
            print_json(found.model_dump(mode="json"))
            return
        limit_told = "no limit" if found.allowed_bytes is None else found.allowed_bytes
        print_rows(
            ["", "bytes"],
            [
                ("allowed", limit_told),
                ("used", found.used_bytes),
                ("reserved", found.reserved_bytes),
            ],
        )

    execute(show)

"""`hsis retry`."""

from typing import Annotated

import typer

from hsis.cli.output import print_json
from hsis.cli.said import takes_metadata
from hsis.cli.session import Session, execute
from hsis.cli.upload import tell_end, wait_for
from hsis.contracts.metadata import CubeMetadata


@takes_metadata
def retry(
    upload: Annotated[str, typer.Argument(help="The id of an upload that failed.")],
    wait: Annotated[bool, typer.Option("--wait", help="Until the cube is stored.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the upload as JSON.")] = False,
    said: CubeMetadata | None = None,
) -> None:
    """Convert a failed upload again whose files are kept.

    Metadata that did not fit the cube are replaced by all that the options say.
    """
    execute(lambda session: _retry(session, upload, said, wait=wait, as_json=as_json))


async def _retry(
    session: Session, upload: str, said: CubeMetadata | None, *, wait: bool, as_json: bool
) -> None:
    sent = await session.ingest.retry(upload, said)
    if wait:
        sent = await wait_for(session, sent)
    if as_json:
        print_json(sent.model_dump(mode="json"))
    tell_end(sent, quiet=as_json)

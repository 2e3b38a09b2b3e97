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
    white_reflectance: Annotated[
        str | None,
        typer.Option(help="Of the white panel: such as 0.99, or the name of a file of the upload."),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Until the cube is stored.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the upload as JSON.")] = False,
    said: CubeMetadata | None = None,
) -> None:
    """Convert a failed upload again whose files are kept.

    Metadata that did not fit the cube are replaced by all that the options say, but
    `--white-reflectance` alone changes nothing else.
    """
    execute(
        lambda session: _retry(session, upload, said, white_reflectance, wait=wait, as_json=as_json)
    )


async def _retry(
    session: Session,
    upload: str,
    said: CubeMetadata | None,
    white_reflectance: str | None,
    *,
    wait: bool,
    as_json: bool,
) -> None:
    sent = await session.ingest.retry(upload, said, white_reflectance=white_reflectance)
    if wait:
        sent = await wait_for(session, sent)
    if as_json:
        print_json(sent.model_dump(mode="json"))
    tell_end(sent, quiet=as_json)

"""`hsis ingest`."""

import uuid
from typing import Annotated

import typer
from pydantic import ValidationError

from hsis.cli.output import print_json
from hsis.cli.said import takes_metadata, told
from hsis.cli.session import EXIT_USAGE, Session, execute, fail
from hsis.cli.upload import tell_end, wait_for
from hsis.contracts.metadata import CubeMetadata
from hsis.contracts.uploads import Calibration, FileSource, IngestRequest, OnDuplicate


@takes_metadata
def ingest(
    sources: Annotated[
        list[str],
        typer.Argument(help="The files of one cube: URLs, or keys such as raw/lab/scratch/a.npy."),
    ],
    collection: Annotated[str, typer.Option(help="Made, private, where it does not exist.")],
    item: Annotated[str | None, typer.Option("--id", help="Item id; else of the name.")] = None,
    axes: Annotated[
        str | None, typer.Option(help="Axes of an array without names; `yxb` by default.")
    ] = None,
    variable: Annotated[str | None, typer.Option(help="Of a file that holds several.")] = None,
    rows: Annotated[int | None, typer.Option(min=1, help="Of an array of pixels by bands.")] = None,
    columns: Annotated[
        int | None, typer.Option(min=1, help="Of an array of pixels by bands.")
    ] = None,
    calibration: Annotated[
        Calibration,
        typer.Option(help="`reflectance` of a raw scene by its WHITEREF_ and DARKREF_ files."),
    ] = Calibration.NONE,
    on_duplicate: Annotated[
        OnDuplicate,
        typer.Option(help="Where an item of the same files is there: another one, or none."),
    ] = OnDuplicate.SHARE,
    wait: Annotated[bool, typer.Option("--wait", help="Until the cube is stored.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the upload as JSON.")] = False,
    said: CubeMetadata | None = None,
) -> None:
    """Have the server fetch a cube, from URLs or from elsewhere in its store, and convert it."""
    try:
        request = IngestRequest(
            collection=collection,
            id=item,
            sources=[FileSource.model_validate(source) for source in sources],
            axes=axes,
            variable=variable,
            rows=rows,
            columns=columns,
            calibration=calibration,
            on_duplicate=on_duplicate,
            metadata=said,
        )
    except ValidationError as error:
        fail(told(error), EXIT_USAGE)
    execute(lambda session: _ingest(session, request, wait=wait, as_json=as_json))


async def _ingest(session: Session, request: IngestRequest, *, wait: bool, as_json: bool) -> None:
    made = await session.ingest.ingest(request, key=str(uuid.uuid4()))
    if wait:
        made = await wait_for(session, made)
    if as_json:
        print_json(made.model_dump(mode="json"))
    tell_end(made, quiet=as_json)

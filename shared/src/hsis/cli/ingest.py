"""`hsis ingest`."""

import uuid
from typing import Annotated

import typer
from pydantic import ValidationError

from hsis.cli.options import (
    AsJson,
    Axes,
    CalibrationChoice,
    Collection,
    DuplicateChoice,
    ItemId,
    TableSide,
    Variable,
    Wait,
    WhiteReflectance,
)
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
    collection: Collection,
    item: ItemId = None,
    axes: Axes = None,
    variable: Variable = None,
    rows: TableSide = None,
    columns: TableSide = None,
    calibration: CalibrationChoice = Calibration.NONE,
    white_reflectance: WhiteReflectance = None,
    on_duplicate: DuplicateChoice = OnDuplicate.SHARE,
    wait: Wait = False,
    as_json: AsJson = False,
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
            white_reflectance=white_reflectance,
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

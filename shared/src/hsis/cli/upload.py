"""`hsis upload`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from pydantic import ValidationError

from hsis.cli.companions import with_companions, with_references
from hsis.cli.folder import folder_in, scenes_in
from hsis.cli.journal import FileJournal, KeptJournal, cache_folder, can_remember
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
from hsis.cli.output import byte_progress, print_json, share_progress
from hsis.cli.said import takes_metadata, told
from hsis.cli.session import EXIT_USAGE, Session, execute, fail
from hsis.clients.sending import DEFAULT_TRIES, send_files
from hsis.contracts.metadata import CubeMetadata
from hsis.contracts.uploads import (
    Calibration,
    DeclaredFile,
    OnDuplicate,
    Upload,
    UploadOptions,
    UploadRequest,
    UploadState,
)
from hsis.cube.band_table import MAX_BYTES, is_number
from hsis.cube.panel_table import parse_panel_table
from hsis.errors import Conflict, InvalidInput, TooLarge, Unavailable

J = TypeVar("J", bound=FileJournal)
Files = Annotated[
    list[Path],
    typer.Argument(
        exists=True, readable=True, help="The files of one cube, its header too; or one folder."
    ),
]


@takes_metadata
def upload(
    files: Files,
    collection: Collection,
    item: ItemId = None,
    axes: Axes = None,
    variable: Variable = None,
    rows: TableSide = None,
    columns: TableSide = None,
    calibration: CalibrationChoice = Calibration.NONE,
    white_reflectance: WhiteReflectance = None,
    on_duplicate: DuplicateChoice = OnDuplicate.SHARE,
    tries: Annotated[
        int, typer.Option(min=1, help="In a row that bring nothing further, before it ends.")
    ] = DEFAULT_TRIES,
    wait: Wait = False,
    as_json: AsJson = False,
    said: CubeMetadata | None = None,
) -> None:
    """Upload a cube. All files of one call make one item; an ENVI header is found by itself.

    Of a folder, and of an archive (zip, tar, tar.gz), each scene makes an item.
    What breaks off goes on from where it was; so does the same command after it was ended.
    """
    try:
        panel = _table_of(white_reflectance)
        options = UploadOptions(
            collection=collection,
            axes=axes,
            variable=variable,
            rows=rows,
            columns=columns,
            calibration=calibration,
            white_reflectance=panel.name if panel else white_reflectance,
            on_duplicate=on_duplicate,
            metadata=said,
        )
        folder = folder_in(files)
        if folder is not None:
            scenes = scenes_in(folder, item)
            scenes = [(of, _with(paths, panel)) for of, paths in scenes]
            wanted = [(_request(options, of, paths), paths) for of, paths in scenes]
        else:
            paths = with_companions(files)
            if calibration is Calibration.REFLECTANCE:
                paths = with_references(paths)
            paths = _with(paths, panel)
            wanted = [(_request(options, item, paths), paths)]
    except InvalidInput as error:
        fail(error.detail, EXIT_USAGE)
    except ValidationError as error:
        fail(told(error), EXIT_USAGE)
    if folder is not None:
        execute(lambda session: _upload_all(session, wanted, tries, wait=wait, as_json=as_json))
    else:
        execute(lambda session: _upload(session, *wanted[0], tries, wait=wait, as_json=as_json))


def _table_of(white_reflectance: str | None) -> Path | None:
    """The file that the option names, where it is no number."""
    if white_reflectance is None or is_number(white_reflectance):
        return None
    path = Path(white_reflectance)
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InvalidInput(
            f"--white-reflectance {white_reflectance!r:.80}: a number such as 0.99 or a file is "
            f"right ({error.strerror})."
        ) from None
    parse_panel_table(content, path.name)
    return path


def _with(paths: Sequence[Path], table: Path | None) -> list[Path]:
    if table is None or table.resolve() in {path.resolve() for path in paths}:
        return [*paths]
    return [*paths, table]


def _request(options: UploadOptions, item: str | None, paths: Sequence[Path]) -> UploadRequest:
    files = [DeclaredFile(name=path.name, size=path.stat().st_size) for path in paths]
    # Not by model_dump: what the user did not say of the cube is to stay unsaid.
    return UploadRequest(**dict(options) | {"id": item, "files": files})


async def _upload(
    session: Session,
    request: UploadRequest,
    paths: Sequence[Path],
    tries: int,
    *,
    wait: bool,
    as_json: bool,
) -> None:
    [journal] = _journals(FileJournal, session, [(request, paths)])
    sent = await _send(session, request, paths, tries, journal)
    if wait:
        sent = await wait_for(session, sent)
    if as_json:
        print_json(sent.model_dump(mode="json"))
    tell_end(sent, quiet=as_json)


async def _upload_all(
    session: Session,
    scenes: Sequence[tuple[UploadRequest, Sequence[Path]]],
    tries: int,
    *,
    wait: bool,
    as_json: bool,
) -> None:
    """Upload one scene after the other; one that fails does not keep the others from it."""
    sent: list[Upload] = []
    failed: list[str] = []
    journals = _journals(KeptJournal, session, scenes)
    for (request, paths), journal in zip(scenes, journals, strict=True):
        try:
            sent.append(await _send(session, request, paths, tries, journal))
        except (Conflict, InvalidInput, TooLarge) as error:
            failed.append(f"{request.id}: {error.detail}")
    for journal in journals:
        if journal is not None:
            journal.forget_now()
    if wait:
        sent = [await wait_for(session, upload) for upload in sent]
    if as_json:
        print_json([upload.model_dump(mode="json") for upload in sent])
    for upload in sent:
        if upload.state is UploadState.FAILED:
            failed.append(f"{upload.item}: {upload.error.detail if upload.error else 'failed'}")
        else:
            tell_end(upload, quiet=as_json)
    if failed:
        fail(f"{len(failed)} of {len(scenes)} scenes failed. {'; '.join(failed)}")


def _journals(
    kind: type[J], session: Session, scenes: Sequence[tuple[UploadRequest, Sequence[Path]]]
) -> list[J | None]:
    """What remembers each upload; None, which is told, where nothing can be remembered."""
    if can_remember():
        return [kind(session.url, request, paths) for request, paths in scenes]
    told = f"{cache_folder()} cannot be written: what breaks off is given up, and starts anew."
    typer.echo(told, err=True)
    return [None for _ in scenes]


async def _send(
    session: Session,
    request: UploadRequest,
    paths: Sequence[Path],
    tries: int,
    journal: FileJournal | None,
) -> Upload:
    with byte_progress() as progress:
        tasks = {file.name: progress.add_task(file.name, total=file.size) for file in request.files}
        try:
            return await send_files(
                session.ingest,
                request,
                paths,
                on_progress=lambda name, count: progress.update(tasks[name], completed=count),
                tries=tries,
                journal=journal,
            )
        except Unavailable as error:
            if journal is None:
                raise
            raise Unavailable(f"{error.detail} The same command goes on from there.") from error


def tell_end(sent: Upload, *, quiet: bool) -> None:
    """Say what became of an upload; a failed one ends the program."""
    if sent.state is UploadState.FAILED:
        fail(sent.error.detail if sent.error else "The conversion failed.")
    if not quiet:
        typer.echo(f"{sent.collection}/{sent.item} {sent.state}")
    if not quiet and sent.duplicate_of:
        items = ", ".join(sent.duplicate_of)
        typer.echo(f"The same files as of {items}; they are stored once.", err=True)


async def wait_for(session: Session, upload: Upload) -> Upload:
    """The upload once it succeeded or failed; a bar tells how far it is."""
    with share_progress() as progress:
        task = progress.add_task("converting", total=1.0)
        async for current in session.ingest.wait(upload.id):
            upload = current
            progress.update(task, completed=current.progress, description=str(current.state))
    return upload

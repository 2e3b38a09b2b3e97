"""An upload in one request: fields and files as multipart/form-data (RFC 7578), for small files."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Request, Response
from fastapi.routing import APIRoute
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.routing import Match
from starlette.types import Scope

from hsis.contracts.access import Caller, Role
from hsis.contracts.uploads import Upload
from hsis.digits import natural
from hsis.errors import Conflict, InvalidInput, NotFound, TooLarge
from hsis.service.tokens import RequiredCaller
from hsis_ingest import uploads
from hsis_ingest.bodies import Body
from hsis_ingest.errors import UploadInterrupted
from hsis_ingest.state import AppState, State
from hsis_ingest.wanted import MAX_FILES, request_from

CONTENT_TYPE = "multipart/form-data"
MAX_FIELDS = 64
MAX_FIELD_BYTES = 1024 * 1024
READ_S = 300.0
"""In which a form is to be here: others wait for its place."""
FRAME_BYTES = 64 * 1024
"""Of a form beside its files: boundaries and headers."""


class FormRoute(APIRoute):
    """Takes the requests whose body is a form; the others on the same path are JSON or tus."""

    def matches(self, scope: Scope) -> tuple[Match, Any]:
        """Whether this route answers the request."""
        if scope["type"] == "http" and not _is_form(scope):
            return Match.NONE, {}
        return super().matches(scope)


router = APIRouter(prefix="/uploads", tags=["uploads"], route_class=FormRoute)


class _MemoryParser(MultiPartParser):
    """Keeps files in memory, whose limit is the form's, and never on a disk."""

    spool_max_size = 2**62
    ended = False

    def on_end(self) -> None:
        """The last boundary is here."""
        self.ended = True


@router.post("", status_code=201, include_in_schema=False)
@router.post("/", status_code=201, include_in_schema=False)
async def create(
    request: Request,
    state: AppState,
    caller: RequiredCaller,
    response: Response,
    idempotency_key: Annotated[UUID | None, Header()] = None,
) -> Upload:
    """An upload with all of its files; fields as of the JSON, `metadata` as JSON."""
    async with state.forms:
        made = await _create(request, state, caller, idempotency_key)
    response.headers["Location"] = f"/uploads/{made.id}"
    return made


def streams(scope: Scope) -> bool:
    """Whether the request's body is a form, which has a limit of its own."""
    return (
        scope["method"] == "POST" and scope["path"] in {"/uploads", "/uploads/"} and _is_form(scope)
    )


async def _create(request: Request, state: State, caller: Caller, key: UUID | None) -> Upload:
    form = await _read(request, state)
    try:
        values, files = _parts(form)
        named = [(file.filename or "", file.size) for file in files]
        made = await uploads.announce(state, caller, request_from(values, named, "the form"), key)
        waiting = {file.name for file in made.files if not file.received}
        try:
            for file in files:
                if file.filename in waiting:
                    row = await uploads.visible(state, caller, UUID(made.id), Role.EDITOR)
                    made = await uploads.receive(
                        state, row, file.filename, file.size, _pieces(file)
                    )
        except Conflict:  # another request is sending it, with the same Idempotency-Key
            raise
        except BaseException:
            with suppress(NotFound, Conflict):  # else nobody would know of what has come
                await uploads.give_up(state, UUID(made.id))
            raise
        return made
    finally:
        await form.close()


async def _read(request: Request, state: State) -> FormData:
    """The whole form. TooLarge, UploadInterrupted, or InvalidInput where it is none."""
    limit = state.settings.max_form_bytes
    if (natural(request.headers.get("Content-Length", "")) or 0) > limit + FRAME_BYTES:
        raise _too_large(limit)
    body = Body(request.stream(), state.settings.transfer_idle_s, limit + FRAME_BYTES)

    async def stream() -> AsyncGenerator[bytes, None]:
        try:
            async for piece in body.pieces():
                yield piece
        except TooLarge:
            raise _too_large(limit) from None
        if not parser.ended:
            raise InvalidInput("The form ends before its last boundary.")

    parser = _MemoryParser(
        request.headers,
        stream(),
        max_files=MAX_FILES,
        max_fields=MAX_FIELDS,
        max_part_size=MAX_FIELD_BYTES,
    )
    try:
        async with asyncio.timeout(READ_S):
            return await parser.parse()
    except TimeoutError:
        raise UploadInterrupted(f"The form was not here within {READ_S:.0f} s.") from None
    except MultiPartException as error:
        raise InvalidInput(f"The form cannot be read: {error.message}") from None


def _parts(form: FormData) -> tuple[dict[str, str], list[UploadFile]]:
    """The fields of text and the files."""
    values: dict[str, str] = {}
    files: list[UploadFile] = []
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            files.append(value)
        elif name in values:
            raise InvalidInput(f"The form has the field {name!r} twice.")
        else:
            values[name] = value
    if not files:
        raise InvalidInput("The form has no file: a part with a `filename` is one.")
    return values, files


async def _pieces(file: UploadFile) -> AsyncIterator[bytes]:
    while piece := await file.read(FRAME_BYTES):
        yield piece


def _too_large(limit: int) -> TooLarge:
    return TooLarge(
        f"A form has at most {limit} bytes (setting max_form_bytes): send larger files by tus, or "
        "announce them and PUT each."
    )


def _is_form(scope: Scope) -> bool:
    kind = Headers(scope=scope).get("Content-Type", "")
    return kind.partition(";")[0].strip().lower() == CONTENT_TYPE

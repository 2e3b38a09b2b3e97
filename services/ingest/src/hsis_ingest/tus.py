"""HTTP of resumable uploads: tus 1.0.0 (https://tus.io/protocols/resumable-upload)."""

from collections.abc import Callable, Coroutine
from email.utils import format_datetime
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from fastapi.routing import APIRoute
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hsis.errors import Forbidden, InvalidInput, TooLarge
from hsis.service.tokens import RequiredCaller
from hsis.service.urls import public_origin
from hsis_ingest import concatenation, sending, transfers
from hsis_ingest.bodies import ALGORITHMS, Checksum
from hsis_ingest.errors import WrongContentType, WrongVersion
from hsis_ingest.state import AppState, State
from hsis_ingest.transfer_rows import TransferKind, TransferRow
from hsis_ingest.tus_headers import PATH, count, parse_concat, parse_metadata, transfer_id

VERSION = "1.0.0"
EXTENSIONS = (
    "creation,creation-with-upload,creation-defer-length,checksum,expiration,termination,"
    "concatenation"
)
CONTENT_TYPE = "application/offset+octet-stream"


class TusRoute(APIRoute):
    """Takes the requests that have `Tus-Resumable`; the others on the same path are JSON."""

    def matches(self, scope: Scope) -> tuple[Match, Any]:
        """Whether this route answers the request."""
        if scope["type"] == "http" and "Tus-Resumable" not in Headers(scope=scope):
            return Match.NONE, {}
        return super().matches(scope)


creation = APIRouter(prefix="/uploads", tags=["uploads"], route_class=TusRoute)
router = APIRouter(prefix="/uploads", tags=["uploads"])

Method = Annotated[str | None, Header(alias="X-HTTP-Method-Override")]


@router.options("", status_code=204)
@router.options("/", status_code=204, include_in_schema=False)
@router.options("/files/{transfer}", status_code=204, include_in_schema=False)
async def tell_options(state: AppState, response: Response) -> None:
    """What of tus is spoken here."""
    response.headers["Tus-Version"] = VERSION
    response.headers["Tus-Extension"] = EXTENSIONS
    response.headers["Tus-Max-Size"] = str(state.settings.max_upload_bytes)
    response.headers["Tus-Checksum-Algorithm"] = ",".join(ALGORITHMS)


@creation.post("", status_code=201, include_in_schema=False)
@creation.post("/", status_code=201, include_in_schema=False)
async def create(request: Request, state: AppState, caller: RequiredCaller) -> Response:
    """A new transfer, with the first of its bytes where the body has them."""
    _require_version(request)
    concat = request.headers.get("Upload-Concat")
    metadata = request.headers.get("Upload-Metadata")
    values = parse_metadata(metadata)
    if concat is not None and concat.startswith("final;"):
        if "Upload-Length" in request.headers:
            raise InvalidInput("A final upload has no Upload-Length: its parts have it.")
        new = transfers.NewFile(values, metadata, None)
        row = await concatenation.concatenate(state, caller, parse_concat(concat), new, concat)
        return _created(request, state, row)
    length = _new_length(request, state)
    if concat is None:
        row = await transfers.create(state, caller, transfers.NewFile(values, metadata, length))
    elif concat == "partial":
        row = await transfers.create_partial(state, caller, length, metadata)
    else:
        raise InvalidInput("Upload-Concat is `partial` or `final;` and URLs.")
    if _has_bytes(request):
        sent = sending.Sent(0, _size(request), checksum=_checksum(request))
        row = await sending.send(state, row.id, sent, request.stream())
    return _created(request, state, row)


@router.head("/files/{transfer}", response_class=Response)
async def tell(
    request: Request, state: AppState, caller: RequiredCaller, transfer: str
) -> Response:
    """How many bytes of a transfer are here."""
    _require_version(request)
    row = await transfers.look(state, caller, transfer_id(transfer))
    headers = {"Cache-Control": "no-store", **_standing(row)}
    if row.length is None:
        headers["Upload-Defer-Length"] = "1"
    else:
        headers["Upload-Length"] = str(row.length)
    if row.metadata is not None:
        headers["Upload-Metadata"] = row.metadata
    if row.kind is TransferKind.PARTIAL:
        headers["Upload-Concat"] = "partial"
    elif row.concat is not None:
        headers["Upload-Concat"] = row.concat
    return Response(headers=headers)


@router.patch("/files/{transfer}", status_code=204)
async def send(
    request: Request, state: AppState, caller: RequiredCaller, transfer: str
) -> Response:
    """Send the bytes from `Upload-Offset` on."""
    _require_version(request)
    if request.headers.get("Content-Type", "").strip().lower() != CONTENT_TYPE:
        raise WrongContentType(f"The Content-Type of a transfer's bytes is {CONTENT_TYPE}.")
    row = await transfers.owned(state, caller, transfer_id(transfer))
    if row.kind is TransferKind.FINAL:
        raise Forbidden("A final upload is made of its parts; nothing can be sent to it.")
    sent = sending.Sent(
        offset=count(request.headers, "Upload-Offset"),
        size=_size(request),
        length=count(request.headers, "Upload-Length")
        if "Upload-Length" in request.headers
        else None,
        checksum=_checksum(request),
    )
    after = await sending.send(state, row.id, sent, request.stream())
    return Response(status_code=204, headers=_standing(after))


@router.delete("/files/{transfer}", status_code=204)
async def terminate(
    request: Request, state: AppState, caller: RequiredCaller, transfer: str
) -> Response:
    """Give a transfer up."""
    _require_version(request)
    await transfers.terminate(state, caller, transfer_id(transfer))
    return Response(status_code=204)


@router.post("/files/{transfer}", include_in_schema=False)
async def overridden(
    request: Request,
    state: AppState,
    caller: RequiredCaller,
    transfer: str,
    method: Method = None,
) -> Response:
    """A method that the client's environment does not let through."""
    methods: dict[str, Callable[..., Coroutine[Any, Any, Response]]] = {
        "PATCH": send,
        "DELETE": terminate,
        "HEAD": tell,
    }
    if method is None or method.upper() not in methods:
        raise HTTPException(405, headers={"Allow": "HEAD, PATCH, DELETE, OPTIONS"})
    return await methods[method.upper()](request, state, caller, transfer)


class TusHeaders:
    """ASGI middleware: every answer about transfers names the version of tus."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add the header to one HTTP answer; everything else passes through."""
        if scope["type"] != "http" or not _of_tus(scope):
            await self._app(scope, receive, send)
            return

        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Tus-Resumable"] = VERSION
                if message["status"] == 412:
                    headers["Tus-Version"] = VERSION
            await send(message)

        await self._app(scope, receive, send_named)


def streams(scope: Scope) -> bool:
    """Whether the body of a request is read as it comes: no limit of documents applies to it."""
    return scope["method"] in {"POST", "PATCH"} and _of_tus(scope)


def _of_tus(scope: Scope) -> bool:
    path: str = scope["path"]
    if path.startswith(PATH + "/"):
        return True
    if path not in {"/uploads", "/uploads/"}:
        return False
    return scope["method"] == "OPTIONS" or "Tus-Resumable" in Headers(scope=scope)


def _require_version(request: Request) -> None:
    spoken = request.headers.get("Tus-Resumable")
    if spoken != VERSION:
        raise WrongVersion(f"Tus-Resumable is {spoken or 'missing'}; {VERSION} is spoken here.")


def _new_length(request: Request, state: State) -> int | None:
    deferred = request.headers.get("Upload-Defer-Length")
    if deferred is not None:
        if deferred != "1" or "Upload-Length" in request.headers:
            raise InvalidInput("Upload-Defer-Length is `1`, and then there is no Upload-Length.")
        return None
    length = count(request.headers, "Upload-Length")
    if length > state.settings.max_upload_bytes:
        raise TooLarge(
            f"{length} bytes; at most {state.settings.max_upload_bytes} are taken "
            "(setting max_upload_bytes)."
        )
    return length


def _has_bytes(request: Request) -> bool:
    kind = request.headers.get("Content-Type", "").strip().lower()
    return kind == CONTENT_TYPE and request.headers.get("Content-Length") != "0"


def _size(request: Request) -> int | None:
    return count(request.headers, "Content-Length") if "Content-Length" in request.headers else None


def _checksum(request: Request) -> Checksum | None:
    header = request.headers.get("Upload-Checksum")
    return None if header is None else Checksum.of(header)


def _created(request: Request, state: State, row: TransferRow) -> Response:
    location = f"{public_origin(request, state.settings)}{PATH}/{row.id}"
    return Response(status_code=201, headers={"Location": location, **_standing(row)})


def _standing(row: TransferRow) -> dict[str, str]:
    expires = format_datetime(row.expires_at, usegmt=True)
    told = {} if row.done else {"Upload-Expires": expires}
    if row.kind is not TransferKind.FINAL or row.done:
        told["Upload-Offset"] = str(row.received)
    return told

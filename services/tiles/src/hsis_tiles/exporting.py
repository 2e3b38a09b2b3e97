"""HTTP: /cubes/{collection}/{item}/export"""

import hashlib
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Header, Query, Request, Response

import hsis
from hsis.contracts.exports import ArrayAxes, BboxCrs, ExportFormat, Interleave
from hsis.cube.shard import DamagedShard
from hsis.service.tokens import OptionalCaller
from hsis_tiles.answers import LongAnswer, UnsatisfiableRange, parse_range
from hsis_tiles.cubes import CubeName
from hsis_tiles.errors import DamagedCube, TooManyExports
from hsis_tiles.export import export as exports
from hsis_tiles.export.answer import Export
from hsis_tiles.export.export import Wanted
from hsis_tiles.export.selection import BANDS_RULE, BBOX_RULE, WINDOW_RULE
from hsis_tiles.routes import Collection, IfNoneMatch, Item, StateOf, is_unchanged
from hsis_tiles.state import State

router = APIRouter(prefix="/cubes/{collection}/{item}", tags=["cubes"])


@router.head("/export", include_in_schema=False)
@router.get(
    "/export",
    response_class=Response,
    responses={200: {"content": {"application/octet-stream": {}}}, 206: {}, 304: {}, 416: {}},
)
async def export(
    request: Request,
    state: StateOf,
    caller: OptionalCaller,
    collection: Collection,
    item: Item,
    format: Annotated[ExportFormat, Query(description="ExportFormat of the file")],
    bands: Annotated[str | None, Query(max_length=4096, description=BANDS_RULE)] = None,
    window: Annotated[str | None, Query(max_length=128, description=WINDOW_RULE)] = None,
    bbox: Annotated[str | None, Query(max_length=256, description=BBOX_RULE)] = None,
    bbox_crs: Annotated[
        BboxCrs | None, Query(description="What `bbox` is in: the cube's own, or degrees")
    ] = None,
    interleave: Annotated[Interleave | None, Query(description="Of an ENVI file")] = None,
    axes: Annotated[ArrayAxes | None, Query(description="Of a NumPy or MATLAB array")] = None,
    if_none_match: IfNoneMatch = None,
    if_range: Annotated[str | None, Header()] = None,
    range_header: Annotated[str | None, Header(alias="Range")] = None,
) -> Response:
    """The cube, or some bands and a window of it, as a file of another format.

    It is written while it is sent; its length is known before, except for a part as Zarr.
    Formats that are one file can be asked for from a byte on (`Range`).
    """
    wanted = Wanted(format, bands, window, bbox, bbox_crs, interleave, axes)
    exports.check(wanted)
    name = await state.cubes.name(caller, collection, item)
    headers = {
        "ETag": f'"{_tag(name, wanted)}"',
        "Cache-Control": "private, no-cache",
        "Vary": "Authorization, Cookie",
    }
    if is_unchanged(if_none_match, headers):
        return Response(status_code=304, headers=headers)
    slot = _Slot(state)
    try:
        if format is ExportFormat.ORIGINAL:
            document = await state.cubes.document(caller, name)
            found = await exports.originals(
                document, name, state.storage, state.export_executor, state.export_limits
            )
        else:
            found = await exports.of_cube(
                wanted, name, state.storage, state.export_executor, state.export_limits
            )
        fresh = if_range is None or if_range.strip() == headers["ETag"]
        return _answer(request, state, found, headers, range_header if fresh else None, slot)
    except DamagedShard as error:
        slot.free()
        raise DamagedCube(f"The stored cube of {collection}/{item} is damaged: {error}.") from error
    except BaseException:
        slot.free()
        raise


class _Slot:
    """One of the exports that may be under way; TooManyExports where all are. Freed once."""

    def __init__(self, state: State) -> None:
        if not state.exports.acquire(blocking=False):
            raise TooManyExports(
                "As many exports are under way as may be (HSIS_CONCURRENT_EXPORTS); try again in a "
                "moment."
            )
        self._exports = state.exports
        self._held = True

    def free(self) -> None:
        """Let another export begin."""
        if self._held:
            self._held = False
            self._exports.release()


def _answer(
    request: Request,
    state: State,
    found: Export,
    headers: dict[str, str],
    range_header: str | None,
    slot: _Slot,
) -> Response:
    headers |= {
        "Content-Disposition": _disposition(found.filename),
        "Accept-Ranges": "bytes" if found.seekable else "none",
        "X-Content-Type-Options": "nosniff",
    }
    start, stop, status = 0, None, 200
    if found.length is not None:
        headers["Content-Length"] = str(found.length)
    if found.seekable and found.length is not None:
        try:
            part = parse_range(range_header, found.length)
        except UnsatisfiableRange:
            slot.free()
            headers |= {"Content-Length": "0", "Content-Range": f"bytes */{found.length}"}
            return Response(status_code=416, headers=headers)
        if part is not None:
            start, stop = part
            status = 206
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{found.length}"
            headers["Content-Length"] = str(stop - start)
    if request.method == "HEAD":
        slot.free()
        answer = Response(status_code=status, headers=headers, media_type=found.media_type)
        if found.length is None:  # which is not the 0 of this answer's own body
            del answer.headers["Content-Length"]
        return answer
    return LongAnswer(
        found.content(start, stop),
        status_code=status,
        media_type=found.media_type,
        headers=headers,
        idle_s=state.export_idle_s,
        finished=slot.free,
    )


def _tag(name: CubeName, wanted: Wanted) -> str:
    """Of the item's state, of what is asked for, and of the release that lays the file out."""
    seen: tuple[Any, ...] = (name, wanted, hsis.__version__)
    return hashlib.sha256(repr(seen).encode()).hexdigest()[:32]


def _disposition(filename: str) -> str:
    plain = "".join(
        c if c.isascii() and c.isprintable() and c not in '"\\' else "_" for c in filename
    )
    if plain == filename:
        return f'attachment; filename="{plain}"'
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"

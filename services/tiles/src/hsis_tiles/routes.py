"""HTTP: /cubes/{collection}/{item}/…"""

import asyncio
import hashlib
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from fastapi.responses import JSONResponse

from hsis.contracts.ids import ID_PATTERN
from hsis.contracts.spectra import PixelSpectrum
from hsis.cube import layout
from hsis.cube.reader import StoredCube
from hsis.cube.statistics import CubeStatistics
from hsis.errors import InvalidInput
from hsis.service.tokens import OptionalCaller
from hsis_tiles import render
from hsis_tiles.cubes import CubeName
from hsis_tiles.spectrum import check_pixel, spectrum_document
from hsis_tiles.state import State

DEFAULT_PREVIEW_PIXELS = 1024

router = APIRouter(prefix="/cubes/{collection}/{item}", tags=["cubes"])


async def _state(request: Request) -> State:  # async: else FastAPI asks it in another thread
    state: State = request.state.state
    return state


StateOf = Annotated[State, Depends(_state)]
Collection = Annotated[str, Path(pattern=ID_PATTERN, description="The collection's id")]
Item = Annotated[str, Path(pattern=ID_PATTERN, description="The item's id")]
IfNoneMatch = Annotated[str | None, Header()]


def _headers(request: Request, name: CubeName) -> dict[str, str]:
    """The answer's entity tag: of the item's state and of everything in the URL. A browser may
    keep the answer but asks again, since permissions can change."""
    query = "&".join(sorted(f"{key}={value}" for key, value in request.query_params.multi_items()))
    seen = f"{request.url.path}?{query}\n{name.updated}"
    tag = hashlib.sha256(seen.encode()).hexdigest()[:32]
    return {
        "ETag": f'"{tag}"',
        "Cache-Control": "private, no-cache",
        "Vary": "Authorization, Cookie",
    }


def is_unchanged(if_none_match: str | None, headers: Mapping[str, str]) -> bool:
    """Whether the client has the answer of that entity tag already."""
    if if_none_match is None:
        return False
    given = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return "*" in given or headers["ETag"] in given


@router.get("/spectrum", response_model=PixelSpectrum)
async def spectrum(
    request: Request,
    state: StateOf,
    caller: OptionalCaller,
    collection: Collection,
    item: Item,
    x: Annotated[int, Query(description="Column from the left, from 0")],
    y: Annotated[int, Query(description="Row from the top, from 0")],
    scaled: Annotated[bool, Query(description="Answer `stored * scale + offset`")] = False,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """One pixel's values as they were uploaded, or scaled to physical ones; null for no data."""
    name = await state.cubes.name(caller, collection, item)
    headers = _headers(request, name)
    if is_unchanged(if_none_match, headers):
        return Response(status_code=304, headers=headers)

    async def read(cube: StoredCube, _: CubeName) -> dict[str, Any]:
        check_pixel(cube.info, x, y)
        return spectrum_document(cube.info, x, y, await cube.spectrum(x, y), scaled=scaled)

    return JSONResponse(await state.cubes.use(caller, name, read), headers=headers)


@router.get(
    "/preview.png", response_class=Response, responses={200: {"content": {"image/png": {}}}}
)
async def preview(
    request: Request,
    state: StateOf,
    caller: OptionalCaller,
    collection: Collection,
    item: Item,
    bands: Annotated[
        str | None,
        Query(max_length=64, description="`r,g,b` or one, numbers from 1; else natural colour"),
    ] = None,
    stretch: Annotated[str | None, Query(max_length=64, description=render.STRETCH_RULE)] = None,
    size: Annotated[int, Query(description="Most pixels along a side")] = DEFAULT_PREVIEW_PIXELS,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """A picture of one or three bands, drawn from the smallest overview that is large enough."""
    if not 1 <= size <= state.max_preview_pixels:
        raise InvalidInput(f"size={size}: 1 to {state.max_preview_pixels} pixels are right.")
    chosen_stretch = render.parse_stretch(stretch)
    name = await state.cubes.name(caller, collection, item)
    headers = _headers(request, name)
    if is_unchanged(if_none_match, headers):
        return Response(status_code=304, headers=headers)

    async def paint(cube: StoredCube, current: CubeName) -> bytes:
        chosen = render.parse_bands(bands, cube.info)
        factor = render.fitting_factor(cube.info, size)
        shape = layout.overview_shape(cube.info.shape, factor)
        statistics = await state.cubes.statistics(current)
        async with state.previews:
            values = await cube.read(chosen, (0, shape[1]), (0, shape[2]), factor)
            return await asyncio.get_running_loop().run_in_executor(
                state.executor,
                render.draw,
                values,
                chosen,
                cube.info,
                statistics,
                chosen_stretch,
                size,
            )

    content = await state.cubes.use(caller, name, paint)
    return Response(content, media_type="image/png", headers=headers)


@router.get("/statistics", response_model=CubeStatistics)
async def statistics(
    request: Request,
    state: StateOf,
    caller: OptionalCaller,
    collection: Collection,
    item: Item,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Minimum, maximum, mean, deviation and percentiles of every band, in stored units."""
    name = await state.cubes.name(caller, collection, item)
    headers = _headers(request, name)
    if is_unchanged(if_none_match, headers):
        return Response(status_code=304, headers=headers)
    found = await state.cubes.statistics(name)
    return Response(found.model_dump_json(), media_type="application/json", headers=headers)

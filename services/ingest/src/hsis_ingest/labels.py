"""Attaching label maps to stored cubes, and taking them off again."""

import asyncio
import uuid
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any

from hsis.clients.catalog import CatalogClient
from hsis.contracts.access import Caller, Role
from hsis.contracts.blobs import checksums_key, cube_prefix, item_prefix, raw_prefix
from hsis.contracts.labels import (
    LabelClass,
    LabelMap,
    LabelRequest,
    labels_asset,
    labels_key,
)
from hsis.cube import writer
from hsis.cube.checksums import Checksums, checksum_of
from hsis.cube.classes import stac_classes
from hsis.cube.layout import CubeInfo
from hsis.cube.reader import StoredCube
from hsis.cube.stac import EXTENSIONS
from hsis.errors import Conflict, InvalidInput, NotFound, TooLarge
from hsis_ingest import quotas
from hsis_ingest.as_it_was import key_of
from hsis_ingest.detect import open_source
from hsis_ingest.formats.blob import BlobSource
from hsis_ingest.formats.source import ReadOptions
from hsis_ingest.label_raster import LabelRaster, label_raster
from hsis_ingest.locks import item_lock
from hsis_ingest.orphans import remove_unneeded
from hsis_ingest.registration import MEDIA_TYPES, SHA256_MULTIHASH
from hsis_ingest.state import State

Item = dict[str, Any]
AXES = "yx"


async def add(
    state: State, caller: Caller, collection: str, item: str, request: LabelRequest
) -> LabelMap:
    """Store a label map beside a cube and name it in the item.

    NotFound for an item or a file that is not there, Conflict where the item has labels of that
    name or no cube of its own, TooLarge over max_label_bytes, an InputFault where the files are no
    class map of this cube, QuotaExceeded where the collection has no room for it.
    """
    await state.access.require(caller, collection, Role.EDITOR)
    before = await state.catalog.item(collection, item, token=caller.token)
    _require_free(before, request.name)
    cube = await _cube_info(state, before)
    raster = await _rasterized(state, collection, request, cube)
    label_map = str(uuid.uuid4())
    key = labels_key(collection, label_map, request.name)
    catalog = CatalogClient(state.http, state.settings.catalog_url)
    async with item_lock(state.pool, collection, item):

        def labelled(now: Item) -> Item:
            if now["properties"].get("created") != before["properties"].get("created"):
                raise Conflict(f"{item!r} in {collection!r} was replaced meanwhile; try again.")
            if key_of(now["assets"].get(labels_asset(request.name), {})) != key:
                _require_free(now, request.name)
            return _with_labels(now, key, request.name, raster)

        labelled(await catalog.item(collection, item))
        holder = f"labels:{label_map}"
        await quotas.reserve(catalog, collection, holder, len(raster.content))
        try:
            await state.storage.put(key, raster.content, content_type=MEDIA_TYPES["tif"])
            counted = [labels_asset(request.name)]
            await catalog.change_item(collection, item, labelled, counted=counted)
        except (NotFound, Conflict):  # it was removed or replaced meanwhile
            prefix = raw_prefix(collection, label_map)
            await remove_unneeded(state.pool, catalog, state.storage, prefix)
            raise
        finally:
            await catalog.release_bytes(holder)
    return _told(key, request.name, raster)


async def remove(state: State, caller: Caller, collection: str, item: str, name: str) -> None:
    """Take a label map off a cube; NotFound where there is none of that name."""
    await state.access.require(caller, collection, Role.EDITOR)
    catalog = CatalogClient(state.http, state.settings.catalog_url)
    async with item_lock(state.pool, collection, item):
        taken: list[Item] = []

        def without(now: Item) -> Item:
            asset = now["assets"].pop(labels_asset(name), None)
            if asset is not None:
                taken.append(asset)
            if not taken:
                raise NotFound(f"{item!r} in {collection!r} has no labels {name!r}.")
            return _touched(now)

        await catalog.change_item(collection, item, without)
        await _remove_raster(state, catalog, collection, item, key_of(taken[-1]), name)


def _require_free(document: Item, name: str) -> None:
    if labels_asset(name) in document["assets"]:
        raise Conflict(
            f"{document['id']!r} has labels {name!r} already; remove them or give another name."
        )


async def _cube_info(state: State, document: Item) -> CubeInfo:
    """The description of the item's own cube."""
    collection, item = document["collection"], document["id"]
    prefix = cube_prefix(collection, item)
    href = str(document["assets"].get("cube", {}).get("href", ""))
    if not href.endswith("/blobs/" + prefix.rstrip("/")):
        raise Conflict(f"The item {item!r} in {collection!r} has no cube of its own stored here.")
    return (await StoredCube.open(state.storage, prefix)).info


async def _rasterized(
    state: State, collection: str, request: LabelRequest, cube: CubeInfo
) -> LabelRaster:
    """The label map that is in the files; one at a time is read."""
    limit = state.settings.max_label_bytes
    rows, columns = cube.shape[1:]
    sources = [await _source(state, collection, key) for key in request.files]
    if len({source.name for source in sources}) != len(sources):
        raise InvalidInput("Two of `files` have the same name.")
    if max(sum(source.size for source in sources), rows * columns) > limit:
        raise TooLarge(f"A label map has at most {limit} bytes (setting max_label_bytes).")
    names = ", ".join(source.name for source in sources)

    def read() -> LabelRaster:
        opened = open_source(sources, _options(state, request))
        try:
            return label_raster(opened, cube, request.class_names, names)
        finally:
            opened.close()

    async with state.labelling:
        try:
            return await asyncio.to_thread(read)
        finally:
            for source in sources:
                source.close()


async def _source(state: State, collection: str, key: str) -> BlobSource:
    name = key.rpartition("/")[2]
    if not key.startswith(f"raw/{collection}/") or not name:
        raise InvalidInput(f"files: {key[:100]!r}; keys under raw/{collection}/ are right.")
    try:
        blob = await state.storage.head(key)
    except NotFound:
        raise NotFound(f"files: there is no blob {key!r}; send it first.") from None
    return BlobSource(state.storage, key, name, blob.size)


def _options(state: State, request: LabelRequest) -> ReadOptions:
    settings = state.settings
    return ReadOptions(
        axes=request.axes or AXES,
        variable=request.variable,
        matlab_max_ratio=settings.matlab_max_ratio,
        max_chunk_bytes=settings.max_chunk_bytes,
        max_expansion=settings.max_expansion,
        hdf5_max_objects=settings.hdf5_max_objects,
        hdf5_check_cpu_s=settings.hdf5_check_cpu_s,
        hdf5_check_memory_bytes=settings.hdf5_check_memory_bytes,
        tiff_max_images=settings.tiff_max_images,
        zarr_max_members=settings.zarr_max_members,
    )


def _with_labels(document: Item, key: str, name: str, raster: LabelRaster) -> Item:
    checksum = checksum_of(raster.content)
    asset: Item = {
        "href": f"/blobs/{key}",
        "type": MEDIA_TYPES["tif"],
        "roles": ["labels"],
        "title": f"Labels: {name}",
        "data_type": raster.dtype,
        "file:size": checksum.size,
        "file:checksum": SHA256_MULTIHASH + checksum.sha256,
        "classification:classes": stac_classes(raster.classes, raster.nodata),
    }
    if raster.nodata is not None:
        asset["nodata"] = raster.nodata
    extensions = [EXTENSIONS["classification"], EXTENSIONS["file"]]
    document["stac_extensions"] = list(
        dict.fromkeys([*document.get("stac_extensions", []), *extensions])
    )
    document["assets"][labels_asset(name)] = asset
    return _touched(document)


def _touched(document: Item) -> Item:
    document["properties"]["updated"] = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    return document


async def _remove_raster(
    state: State, catalog: CatalogClient, collection: str, item: str, key: str, name: str
) -> None:
    """Remove what no item names any more, unless something else needs it."""
    folder = key.removeprefix(f"raw/{collection}/").partition("/")[0]
    if key == labels_key(collection, folder, name):
        prefix = raw_prefix(collection, folder)
        await remove_unneeded(state.pool, catalog, state.storage, prefix)
    elif key == item_prefix(collection, item) + f"labels/{name}.tif":
        await _remove_beside_cube(state, collection, item, key)


async def _remove_beside_cube(state: State, collection: str, item: str, key: str) -> None:
    """Remove a label map that an earlier version stored, with its checksum among the cube's."""
    with suppress(NotFound):
        content = await state.storage.get(checksums_key(collection, item))
        objects = Checksums.model_validate_json(content).objects
        objects.pop(key.removeprefix(item_prefix(collection, item)), None)
        put = partial(_put, state)
        await writer.write_checksums(put, collection, item, Checksums(objects=objects))
    await state.storage.delete(key)


async def _put(state: State, key: str, content: bytes, content_type: str) -> object:
    return await state.storage.put(key, content, content_type=content_type)


def _told(key: str, name: str, raster: LabelRaster) -> LabelMap:
    unlabelled = 0 if raster.nodata is None else raster.counts.get(raster.nodata, 0)
    return LabelMap(
        name=name,
        asset=labels_asset(name),
        href=f"/blobs/{key}",
        data_type=raster.dtype,
        nodata=raster.nodata,
        unlabelled_pixels=unlabelled,
        classes=[
            LabelClass(value=each.value, title=each.title, pixels=raster.counts.get(each.value, 0))
            for each in raster.classes
        ],
    )

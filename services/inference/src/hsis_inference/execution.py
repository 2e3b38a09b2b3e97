"""Making a job: who may, whether the inputs are right, and the plan for the source's cube."""

import asyncio
import uuid
from dataclasses import dataclass
from typing import Any

import asyncpg
from pydantic import ValidationError

from hsis.clients.catalog import CatalogClient, StacObject
from hsis.clients.storage import StorageClient
from hsis.contracts.access import Caller, Role
from hsis.contracts.blobs import cube_prefix
from hsis.contracts.spectra import Spectrum
from hsis.cube.layout import CubeInfo
from hsis.cube.reader import StoredCube
from hsis.errors import Conflict, DomainError, InvalidInput, NotFound, fault_told
from hsis.service.access import CollectionAccess
from hsis.service.postgres import transaction
from hsis_inference.jobs import JobState, NewJob, phases_of
from hsis_inference.processes import process_of
from hsis_inference.processes.base import Process, ProcessInputs
from hsis_inference.publication import holder_of, most_bytes, reserve_bytes, source_of
from hsis_inference.repository import jobs
from hsis_inference.scene import footprints


@dataclass(frozen=True, slots=True)
class Execution:
    """Makes jobs. `catalog` acts for the caller of a request, `own_catalog` and `storage` for the
    service."""

    pool: asyncpg.Pool
    access: CollectionAccess
    catalog: CatalogClient
    own_catalog: CatalogClient
    storage: StorageClient

    async def start(self, caller: Caller, process_id: str, given: dict[str, Any]) -> JobState:
        """The accepted job. InvalidInput names the input that is wrong; Conflict where the result's
        id is taken; NotFound, Forbidden where the caller may not read or write there."""
        process = process_of(process_id)
        inputs = checked_inputs(process, given)
        # The result goes to the source's collection: who may write there may also read there.
        await self.access.require(caller, inputs.collection, Role.EDITOR)
        item = await self._source_item(inputs, caller)
        info = await self._source_info(inputs)
        library = await self._library(inputs, caller)
        plan = await asyncio.to_thread(process.plan, inputs, info, library)
        new_id = uuid.uuid4()
        result = inputs.id or f"{inputs.item[:90]}-{process.id}-{new_id.hex[:8]}"
        if inputs.id is not None:
            await self._check_free(inputs.collection, inputs.id)
        new = NewJob(
            id=new_id,
            process=process.id,
            owner=caller.subject,
            collection=inputs.collection,
            source_item=inputs.item,
            result_item=result,
            parameters=inputs.parameters,
            plan=plan,
            source=source_of(item),
            phases=phases_of(process),
            block_count=len(footprints(*info.shape[1:])),
        )
        await self._reserve(new)  # a name of its own too: catalog then knows whose objects they are
        try:
            await reserve_bytes(self.own_catalog, new.collection, new.id, most_bytes(plan, info))
            async with transaction(self.pool) as connection:
                return await jobs.create(connection, new)
        except DomainError:
            await self.own_catalog.release(new.collection, result, holder_of(new.id))
            raise

    async def _source_item(self, inputs: ProcessInputs, caller: Caller) -> StacObject:
        try:
            return await self.catalog.item(inputs.collection, inputs.item, token=caller.token)
        except NotFound:
            raise InvalidInput(
                f"item: there is no item {inputs.item!r} in collection {inputs.collection!r}."
            ) from None

    async def _source_info(self, inputs: ProcessInputs) -> CubeInfo:
        prefix = cube_prefix(inputs.collection, inputs.item)
        try:
            return (await StoredCube.open(self.storage, prefix)).info
        except NotFound:
            raise InvalidInput(f"item: {inputs.item!r} has no stored cube.") from None

    async def _library(self, inputs: ProcessInputs, caller: Caller) -> list[Spectrum]:
        """The spectra that an input `library` names, in its order."""
        names: list[str] = getattr(inputs, "library", [])
        if not names:
            return []
        found = await self.catalog.spectra(inputs.collection, names=names, token=caller.token)
        by_name = {spectrum.name: spectrum for spectrum in found}
        by_id = {spectrum.id: spectrum for spectrum in found}
        missing = [name for name in names if name not in by_name and name not in by_id]
        if missing:
            raise InvalidInput(
                f"library: collection {inputs.collection!r} has no spectrum {missing[0]!r}; a name "
                "or an id of its spectral library is right."
            )
        return [by_name.get(name) or by_id[name] for name in names]

    async def _reserve(self, new: NewJob) -> None:
        """Conflict where an upload or another job is making the result's item."""
        try:
            await self.own_catalog.reserve(new.collection, new.result_item, holder_of(new.id))
        except Conflict as error:
            raise Conflict(f"id: {error.detail}") from error

    async def _check_free(self, collection: str, item: str) -> None:
        """Conflict where an item has that id, or where a removed one's objects still lie."""
        try:
            await self.own_catalog.item(collection, item)
        except NotFound:
            # Asked after the item: one that is removed meanwhile is in the outbox then.
            if await self.own_catalog.removed_items(collection, item):
                raise Conflict(
                    f"id: what was stored for the removed item {item!r} is still being removed; "
                    "try again in some seconds."
                ) from None
            return
        raise Conflict(f"id: there is an item {item!r} in {collection!r} already.")


def checked_inputs(process: Process, given: dict[str, Any]) -> ProcessInputs:
    """The inputs as the process's model has them; InvalidInput names those that are wrong."""
    try:
        return process.inputs.model_validate(given)
    except ValidationError as error:
        faults = [
            f"{'.'.join(str(part) for part in fault['loc'])}: {fault_told(fault)}"
            for fault in error.errors(include_url=False, include_context=False)
        ]
        raise InvalidInput("; ".join(faults[:10])) from None

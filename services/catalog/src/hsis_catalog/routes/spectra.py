"""/spectra: the spectral library."""

import uuid
from typing import Annotated

from fastapi import APIRouter, Query, Response

from hsis.contracts.access import Role
from hsis.contracts.ids import ResourceId
from hsis.contracts.spectra import NewSpectrum, Spectrum, SpectrumList
from hsis.errors import Conflict, NotFound
from hsis.service.postgres import autocommit
from hsis_catalog.access import require_role
from hsis_catalog.callers import AnyCaller, KnownCaller
from hsis_catalog.repository import spectra
from hsis_catalog.state import CatalogState

router = APIRouter(prefix="/spectra", tags=["spectral library"])


@router.get("")
async def list_spectra(
    state: CatalogState,
    caller: AnyCaller,
    collection: ResourceId,
    name: Annotated[list[str] | None, Query()] = None,
) -> SpectrumList:
    """A collection's spectra by name; all, or those whose name or id is given."""
    async with autocommit(state.pool) as connection:
        await require_role(connection, caller, collection, Role.VIEWER)
        return SpectrumList(spectra=await spectra.find(connection, collection, name))


@router.post("", status_code=201)
async def add_spectrum(state: CatalogState, caller: KnownCaller, new: NewSpectrum) -> Spectrum:
    """Add a spectrum to a collection's library. For editors."""
    async with autocommit(state.pool) as connection:
        await require_role(connection, caller, new.collection, Role.EDITOR)
        made = await spectra.create(connection, new)
    if made is None:
        raise Conflict(f"{new.collection!r} has a spectrum {new.name!r} already.")
    return made


@router.delete("/{spectrum}", status_code=204)
async def delete_spectrum(
    state: CatalogState, caller: KnownCaller, spectrum: uuid.UUID
) -> Response:
    """Remove a spectrum. For editors of its collection."""
    async with autocommit(state.pool) as connection:
        collection = await spectra.collection_of(connection, spectrum)
        if collection is None:
            raise NotFound(f"There is no spectrum {spectrum}.")
        await require_role(connection, caller, collection, Role.EDITOR)
        await spectra.delete(connection, spectrum)
    return Response(status_code=204)

"""The table `spectra`."""

import uuid
from typing import Any

import asyncpg

from hsis.contracts.spectra import NewSpectrum, Spectrum
from hsis.errors import NotFound
from hsis.service.postgres import Connection


async def find(connection: Connection, collection: str, names: list[str] | None) -> list[Spectrum]:
    """The collection's spectra by name, all or those whose name or id is among `names`."""
    rows = await connection.fetch(
        "SELECT id, collection_id, name, values, wavelengths_nm, unit, source, created_at"
        " FROM spectra WHERE collection_id = $1"
        " AND ($2::text[] IS NULL OR name = ANY ($2) OR id::text = ANY ($2))"
        " ORDER BY name",
        collection,
        names,
    )
    return [_spectrum(row) for row in rows]


async def create(connection: Connection, new: NewSpectrum) -> Spectrum | None:
    """The stored spectrum; None when the collection has one of that name."""
    try:
        row = await connection.fetchrow(
            "INSERT INTO spectra (collection_id, name, values, wavelengths_nm, unit, source)"
            " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (collection_id, name) DO NOTHING"
            " RETURNING id, collection_id, name, values, wavelengths_nm, unit, source, created_at",
            new.collection,
            new.name,
            new.values,
            new.wavelengths_nm,
            new.unit,
            new.source,
        )
    except asyncpg.ForeignKeyViolationError:
        raise NotFound(f"There is no collection {new.collection!r} any more.") from None
    return _spectrum(row) if row else None


async def collection_of(connection: Connection, spectrum: uuid.UUID) -> str | None:
    """The collection that the spectrum is in."""
    found: str | None = await connection.fetchval(
        "SELECT collection_id FROM spectra WHERE id = $1", spectrum
    )
    return found


async def delete(connection: Connection, spectrum: uuid.UUID) -> None:
    """Remove it."""
    await connection.execute("DELETE FROM spectra WHERE id = $1", spectrum)


def _spectrum(row: Any) -> Spectrum:
    values = dict(row)
    return Spectrum(id=str(values.pop("id")), collection=values.pop("collection_id"), **values)

"""`hsis spectra`: the spectral library of a collection."""

from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from hsis.cli.output import print_json, print_rows
from hsis.cli.session import EXIT_USAGE, Session, execute, fail
from hsis.contracts.spectra import NewSpectrum
from hsis.errors import Conflict, InvalidInput, fault_told
from hsis.spectral_library import read_library

app = typer.Typer(help="The spectral library of a collection.", no_args_is_help=True)
Collection = Annotated[str, typer.Option(help="Whose library it is.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("import")
def import_(
    file: Annotated[
        Path,
        typer.Argument(
            exists=True, dir_okay=False, readable=True, help="An ENVI library (.sli) or its header."
        ),
    ],
    collection: Collection,
    unit: Annotated[str | None, typer.Option(help="Of the values; 1 for reflectance.")] = None,
    source: Annotated[str | None, typer.Option(help="Where they come from; else the file.")] = None,
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="Leave out names that are there already.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Add the spectra of an ENVI spectral library. All of them, or none where a name is taken."""
    try:
        spectra = read_library(file, collection, unit=unit, source=source)
    except InvalidInput as error:
        fail(error.detail, EXIT_USAGE)
    except ValidationError as error:
        fail(f"{file.name}: {fault_told(error.errors()[0])}", EXIT_USAGE)
    execute(lambda session: _add(session, collection, spectra, skip_existing, as_json))


@app.command("list")
def list_(collection: Collection, as_json: AsJson = False) -> None:
    """The spectra of a collection's library, by name."""

    async def show(session: Session) -> None:
        found = await session.catalog.spectra(collection)
        if as_json:
            print_json([spectrum.model_dump(mode="json") for spectrum in found])
            return
        rows = (
            (each.name, len(each.values), _span(each), each.unit, each.source) for each in found
        )
        print_rows(["spectrum", "bands", "nm", "unit", "source"], rows)

    execute(show)


async def _add(
    session: Session, collection: str, spectra: list[NewSpectrum], skip: bool, as_json: bool
) -> None:
    there = {spectrum.name for spectrum in await session.catalog.spectra(collection)}
    taken = [spectrum.name for spectrum in spectra if spectrum.name in there]
    if taken and not skip:
        raise Conflict(
            f"{collection!r} has {len(taken)} of these names already, such as {taken[0]!r}; "
            "nothing was added. --skip-existing leaves them out."
        )
    added = [
        await session.catalog.add_spectrum(spectrum)
        for spectrum in spectra
        if spectrum.name not in there
    ]
    if as_json:
        print_json([spectrum.model_dump(mode="json") for spectrum in added])
    else:
        typer.echo(f"{len(added)} spectra added to {collection}, {len(taken)} left out")


def _span(spectrum: NewSpectrum) -> str | None:
    nm = spectrum.wavelengths_nm
    return None if nm is None else f"{nm[0]:g} to {nm[-1]:g}"

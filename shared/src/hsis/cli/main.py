"""The command `hsis`."""

from typing import Annotated

import typer

import hsis
from hsis.cli.correct import correct, template_app
from hsis.cli.download import download
from hsis.cli.ingest import ingest
from hsis.cli.labels import app as labels
from hsis.cli.login import login
from hsis.cli.process import run
from hsis.cli.query import collections, delete, processes, search, spectrum
from hsis.cli.quota import quota
from hsis.cli.retry import retry
from hsis.cli.scrub import scrub
from hsis.cli.spectra import app as spectra
from hsis.cli.sweep import sweep
from hsis.cli.trash import app as trash
from hsis.cli.upload import upload

app = typer.Typer(
    name="hsis",
    help="Hyperspectral image storage. HSIS_URL and HSIS_TOKEN win over `hsis login`.",
    no_args_is_help=True,
    rich_markup_mode=None,  # a usage error is then one line, not a box that breaks paths
    pretty_exceptions_show_locals=False,
)
for command in (
    login,
    upload,
    ingest,
    retry,
    search,
    spectrum,
    run,
    download,
    collections,
    processes,
    delete,
    correct,
    scrub,
    quota,
    sweep,
):
    app.command()(command)
app.add_typer(trash, name="trash")
app.add_typer(template_app, name="template")
app.add_typer(spectra, name="spectra")
app.add_typer(labels, name="labels")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(hsis.__version__)
        raise typer.Exit


@app.callback()
def _main(
    _version_wanted: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    return None

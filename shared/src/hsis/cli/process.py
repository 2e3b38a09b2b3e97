"""`hsis run`."""

import re
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

import typer

from hsis.cli.output import print_json, share_progress
from hsis.cli.parameters import parse_parameters
from hsis.cli.session import EXIT_USAGE, Session, execute, fail
from hsis.contracts.jobs import JobInfo, JobStatus
from hsis.errors import InvalidInput, NotFound

_ITEM_PATH = re.compile(r"/stac/collections/(?P<collection>[^/]+)/items/(?P<item>[^/]+)$")


def run(
    process: Annotated[str, typer.Argument(help="See `hsis processes`.")],
    collection: str,
    item: str,
    parameter: Annotated[
        list[str] | None,
        typer.Option("-p", metavar="NAME=VALUE", help="JSON or a string; @FILE reads JSON."),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Until the result is there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Run a process over an item. With --wait the result item is printed, else the job."""
    try:
        inputs = parse_parameters(parameter or [])
    except InvalidInput as error:
        fail(error.detail, EXIT_USAGE)
    inputs |= {"collection": collection, "item": item}
    execute(lambda session: _run(session, process, inputs, wait=wait, as_json=as_json))


async def _run(
    session: Session, process: str, inputs: dict[str, Any], *, wait: bool, as_json: bool
) -> None:
    job = await session.processing.execute(process, inputs)
    if not wait:
        if as_json:
            print_json(job.model_dump(mode="json", by_alias=True))
        else:
            typer.echo(f"job {job.job_id} {job.status}")
        return
    job = await _wait(session, job)
    if job.status is not JobStatus.SUCCESSFUL:
        reason = job.error.detail if job.error else job.message
        fail(f"Job {job.job_id} {job.status}: {reason}")
    collection, item = result_of(await session.processing.results(job.job_id))
    result = await session.catalog.item(collection, item)
    if as_json:
        print_json(result)
    else:
        typer.echo(f"{result['collection']}/{result['id']}")


async def _wait(session: Session, job: JobInfo) -> JobInfo:
    with share_progress() as progress:
        task = progress.add_task(job.process_id, total=100)
        async for current in session.processing.wait(job.job_id):
            job = current
            progress.update(task, completed=current.progress)
    return job


def result_of(results: dict[str, Any]) -> tuple[str, str]:
    """The collection and the id of the item that a job's outputs link to."""
    for output in results.values():
        href = output.get("href", "") if isinstance(output, dict) else ""
        found = _ITEM_PATH.search(urlsplit(href).path)
        if found is not None:
            return unquote(found["collection"]), unquote(found["item"])
    raise NotFound("The job succeeded but its outputs link to no item.")

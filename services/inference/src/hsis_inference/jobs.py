"""A job as the database has it, the phases it goes through, and how it is told."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from hsis.contracts.jobs import JobInfo, JobStatus, Link
from hsis.errors import Problem
from hsis_inference.describe import RESULT
from hsis_inference.processes.base import Plan, Process, TwoPassProcess


class Phase(StrEnum):
    """What a block of a job does. `gather` and `map` go over the scene, the others are one block.

    gather: a partial result of each block; reduce: all of them combined to a model; map: the
    result of each block is stored; publish: overviews, documents, the STAC Item.
    """

    GATHER = "gather"
    REDUCE = "reduce"
    MAP = "map"
    PUBLISH = "publish"

    @property
    def over_scene(self) -> bool:
        """Whether it has as many blocks as the scene."""
        return self in {Phase.GATHER, Phase.MAP}


_MESSAGES = {
    Phase.GATHER: "First pass over the scene",
    Phase.REDUCE: "Combining what the first pass found",
    Phase.MAP: "Computing the result",
    Phase.PUBLISH: "Publishing the result",
}


def phases_of(process: Process) -> tuple[Phase, ...]:
    """The phases of a process in their order."""
    first = (Phase.GATHER, Phase.REDUCE) if isinstance(process, TwoPassProcess) else ()
    return (*first, Phase.MAP, Phase.PUBLISH)


def blocks_in(phase: Phase, block_count: int) -> int:
    """How many blocks a phase has over a scene of so many."""
    return block_count if phase.over_scene else 1


def total_blocks(phases: Sequence[Phase], block_count: int) -> int:
    """The blocks of all phases together."""
    return sum(blocks_in(phase, block_count) for phase in phases)


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to be made."""

    id: uuid.UUID
    process: str
    owner: str
    collection: str
    source_item: str
    result_item: str
    parameters: dict[str, Any]
    plan: Plan
    source: dict[str, Any]
    phases: tuple[Phase, ...]
    block_count: int


@dataclass(frozen=True, slots=True)
class JobState:
    """A job as it stands, without what only its workers need: that can be megabytes."""

    id: uuid.UUID
    process: str
    owner: str
    collection: str
    source_item: str
    result_item: str
    phases: tuple[Phase, ...]
    block_count: int
    phase: int
    done_blocks: int
    devices: tuple[str, ...]
    status: JobStatus
    error: Problem | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    updated_at: datetime

    @property
    def current_phase(self) -> Phase:
        """The phase whose blocks are open, or were the last."""
        return self.phases[self.phase]

    @property
    def progress(self) -> int:
        """Per cent of all blocks; 100 only once it is successful."""
        if self.status is JobStatus.SUCCESSFUL:
            return 100
        return min(99, 100 * self.done_blocks // total_blocks(self.phases, self.block_count))

    @property
    def message(self) -> str:
        """What it does or why it ended, for people."""
        match self.status:
            case JobStatus.ACCEPTED:
                return "Waiting for a worker"
            case JobStatus.RUNNING:
                return _MESSAGES[self.current_phase]
            case JobStatus.SUCCESSFUL:
                return f"The result is {self.collection}/{self.result_item}"
            case JobStatus.FAILED:
                return self.error.detail if self.error else "Failed"
            case JobStatus.DISMISSED:
                return "Dismissed"


@dataclass(frozen=True, slots=True)
class Job(JobState):
    """A job with what its workers need."""

    parameters: dict[str, Any]
    plan: Plan
    source: dict[str, Any]


def result_link(job: JobState, origin: str) -> Link:
    """The link to the result's STAC Item."""
    return Link(
        href=f"{origin}/stac/collections/{job.collection}/items/{job.result_item}",
        rel="item",
        type="application/geo+json",
        title=RESULT,
    )


def job_info(job: JobState, origin: str) -> JobInfo:
    """The job as OGC API Processes tells it."""
    here = f"{origin}/processing/jobs/{job.id}"
    links = [
        Link(href=here, rel="self", type="application/json"),
        Link(href=f"{here}/events", rel="monitor", type="text/event-stream"),
    ]
    if job.status is JobStatus.SUCCESSFUL:
        rel = "http://www.opengis.net/def/rel/ogc/1.0/results"
        links.append(Link(href=f"{here}/results", rel=rel, type="application/json"))
        links.append(result_link(job, origin))
    return JobInfo(
        job_id=str(job.id),
        process_id=job.process,
        status=job.status,
        message=job.message,
        progress=job.progress,
        created=job.created_at,
        started=job.started_at,
        finished=job.finished_at,
        updated=job.updated_at,
        links=links,
        error=job.error,
    )

"""Jobs of the processing API (OGC API Processes 1.0, part 1)."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from hsis.errors import Problem


class JobStatus(StrEnum):
    """The status codes of OGC API Processes. The last three are final."""

    ACCEPTED = "accepted"
    RUNNING = "running"
    SUCCESSFUL = "successful"
    FAILED = "failed"
    DISMISSED = "dismissed"

    @property
    def final(self) -> bool:
        """Whether nothing will change any more."""
        return self in {JobStatus.SUCCESSFUL, JobStatus.FAILED, JobStatus.DISMISSED}


class Link(BaseModel):
    """A web link (RFC 8288) in the form of OGC API and STAC."""

    model_config = ConfigDict(extra="allow")

    href: str
    rel: str
    type: str | None = None
    title: str | None = None


class Execution(BaseModel):
    """The body of POST /processing/processes/{id}/execution."""

    model_config = ConfigDict(extra="ignore")

    inputs: dict[str, Any] = Field(default_factory=dict)


class JobInfo(BaseModel):
    """statusInfo of OGC API Processes, with the error of a failed job."""

    model_config = ConfigDict(populate_by_name=True)

    job_id: str = Field(alias="jobID")
    process_id: str = Field(alias="processID")
    type: str = "process"
    status: JobStatus
    message: str = ""
    progress: int = Field(default=0, ge=0, le=100, description="Per cent")
    created: datetime
    started: datetime | None = None
    finished: datetime | None = None
    updated: datetime | None = None
    links: list[Link] = Field(default_factory=list)
    error: Problem | None = None

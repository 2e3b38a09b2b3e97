"""Errors of inference and how they are told."""

from hsis.errors import (
    Conflict,
    DomainError,
    InvalidInput,
    NotFound,
    ProblemTable,
    ProblemType,
    TooLarge,
    Unavailable,
)


class NoSuchProcess(NotFound):
    """No process has that id."""


class NoSuchJob(NotFound):
    """No job has that id, or none that the caller may know of."""


class ResultNotReady(NotFound):
    """The job has not ended yet, or ended without a result."""


class NotEnoughPixels(InvalidInput):
    """The cube has too few valid pixels for the process."""


class QuotaExceeded(TooLarge):
    """The collection has no room for the result."""


class SourceChanged(Conflict):
    """The source item was removed or replaced while the job ran."""


class LeaseLost(Conflict):
    """The block is no longer this worker's: its lease ended, or its job did."""


class DeviceNotReady(Unavailable):
    """torch is still being loaded, or the device asked for is not there."""


class JobFailed(DomainError):
    """The job's own failure where it comes from inside; the detail names the job."""


OGC = "http://www.opengis.net/def/exceptions/ogcapi-processes-1/1.0/"
"""Types of the errors that OGC API Processes 1.0 names."""

PROBLEMS: ProblemTable = {
    NoSuchProcess: ProblemType(404, "no-such-process", "There is no such process", OGC),
    NoSuchJob: ProblemType(404, "no-such-job", "There is no such job", OGC),
    ResultNotReady: ProblemType(404, "result-not-ready", "There is no result", OGC),
    NotEnoughPixels: ProblemType(422, "not-enough-pixels", "Too few valid pixels"),
    QuotaExceeded: ProblemType(413, "quota-exceeded", "The collection has no room"),
    SourceChanged: ProblemType(409, "source-changed", "The source changed while the job ran"),
    LeaseLost: ProblemType(409, "lease-lost", "The block is another worker's now"),
    DeviceNotReady: ProblemType(503, "device-not-ready", "Nothing computes yet"),
    JobFailed: ProblemType(500, "job-failed", "The job failed inside"),
}

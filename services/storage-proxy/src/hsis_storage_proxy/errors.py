"""Errors of storage-proxy and how they are told."""

from hsis.errors import DomainError, ProblemTable, ProblemType


class PreconditionFailed(DomainError):
    """If-Match, If-None-Match or If-Unmodified-Since does not hold for what is stored."""


class RangeNotSatisfiable(DomainError):
    """The range begins after the end of the blob, whose size in bytes is `size`."""

    def __init__(self, detail: str, size: int) -> None:
        super().__init__(detail)
        self.size = size


class IncompleteBody(DomainError):
    """The client went away, or sent fewer or more bytes than it said; nothing was stored."""


class BodyTimeout(DomainError):
    """The client sent nothing for too long; nothing was stored."""


class TooManyRequests(DomainError):
    """This client has as many requests here as it may."""


class DigestMismatch(DomainError):
    """The body has not the digest that its headers say; nothing was stored."""


class CodedBody(DomainError):
    """The body has a content coding, such as gzip, which would be lost."""


PROBLEMS: ProblemTable = {
    BodyTimeout: ProblemType(408, "body-timeout", "The body did not come in time"),
    TooManyRequests: ProblemType(429, "too-many-requests", "Too many requests at once"),
    CodedBody: ProblemType(415, "coded-body", "The body has a content coding"),
    DigestMismatch: ProblemType(400, "digest-mismatch", "The body has another digest"),
    PreconditionFailed: ProblemType(412, "precondition-failed", "A precondition does not hold"),
    RangeNotSatisfiable: ProblemType(416, "range-not-satisfiable", "The range is past the end"),
    IncompleteBody: ProblemType(400, "incomplete-body", "The body did not arrive in full"),
}

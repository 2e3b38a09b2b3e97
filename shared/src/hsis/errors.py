"""Errors of the domain and their form on the wire (RFC 9457 problem details).

A domain error knows what went wrong, never an HTTP status. Each service has one table that maps
its error classes to a status and a stable slug; `COMMON_PROBLEMS` holds those that every service
can meet.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict


class DomainError(Exception):
    """Something a caller can be told about. `detail` says what, where and what would be right."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class Unauthenticated(DomainError):
    """No token, or one that is expired, forged or revoked."""


class Forbidden(DomainError):
    """The caller is known and may not do this."""


class NotFound(DomainError):
    """No such thing, or none that the caller may know of."""


class Conflict(DomainError):
    """The thing exists already, or is in a state that does not allow this."""


class InvalidInput(DomainError):
    """The request says something that cannot be; the detail says what would be right."""


class TooLarge(DomainError):
    """More bytes, rows or elements than a setting allows; the detail names the setting."""


class Unavailable(DomainError):
    """A part that this one needs does not answer now; trying again later is right."""


TYPE_PREFIX = "urn:hsis:problem:"


@dataclass(frozen=True, slots=True)
class ProblemType:
    """How one class of error is told: HTTP status, stable slug, short human title.

    `prefix` and the slug make the type's URI; it is a standard's own where that names the error.
    """

    status: int
    slug: str
    title: str
    prefix: str = TYPE_PREFIX


ProblemTable = Mapping[type[DomainError], ProblemType]

COMMON_PROBLEMS: ProblemTable = {
    Unauthenticated: ProblemType(401, "unauthenticated", "A valid token is needed"),
    Forbidden: ProblemType(403, "forbidden", "Not allowed"),
    NotFound: ProblemType(404, "not-found", "Not found"),
    Conflict: ProblemType(409, "conflict", "In conflict with what is there"),
    InvalidInput: ProblemType(400, "invalid-input", "The request is not valid"),
    TooLarge: ProblemType(413, "too-large", "Over a limit"),
    Unavailable: ProblemType(503, "unavailable", "Not available now"),
}


def _storable(told: object) -> object:
    """A text that quotes what a file holds, without what neither JSON nor Postgres can: halves of
    surrogate pairs, U+0000."""
    if not isinstance(told, str):
        return told
    return told.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


class Problem(BaseModel):
    """An RFC 9457 problem document. `type` ends in the stable slug."""

    model_config = ConfigDict(extra="allow")

    type: str = "about:blank"
    title: str = ""
    status: int = 500
    detail: Annotated[str, BeforeValidator(_storable)] = ""
    instance: str | None = None
    request_id: str | None = None

    @property
    def slug(self) -> str:
        """The stable, machine-readable name of the problem, such as `header-mismatch`."""
        return self.type.rsplit("/", 1)[-1].removeprefix(TYPE_PREFIX)

    @classmethod
    def of(cls, kind: ProblemType, detail: str, **more: Any) -> "Problem":
        """The document for one error of that kind."""
        return cls(
            type=kind.prefix + kind.slug,
            title=kind.title,
            status=kind.status,
            detail=detail,
            **more,
        )


def problem_type(table: ProblemTable, error: DomainError) -> ProblemType:
    """The entry of the nearest class in the error's ancestry; KeyError when the table lacks one."""
    for cls in type(error).__mro__:
        if cls in table:
            return table[cls]
    raise KeyError(type(error).__name__)


def fault_told(fault: Mapping[str, Any]) -> str:
    """What pydantic says of one fault, or a validator of ours, without pydantic's mark of that."""
    return str(fault["msg"]).removeprefix("Value error, ")

"""Errors of catalog and how they are told."""

from hsis.errors import (
    Conflict,
    DomainError,
    InvalidInput,
    ProblemTable,
    ProblemType,
    TooLarge,
    Unauthenticated,
)


class WrongCredentials(Unauthenticated):
    """The name or the password is wrong; which one is not told."""


class TooManyAttempts(DomainError):
    """Too many failed logins for one name within the window of the settings."""


class InvalidDocument(InvalidInput):
    """A STAC Item or Collection that cannot be stored; the detail names the member."""


class InvalidQuery(InvalidInput):
    """A search parameter that cannot be; the detail names it."""


class CollectionNotEmpty(Conflict):
    """A collection can be removed only when nothing is in it."""


class InTrash(Conflict):
    """The id's cube is kept in the trash, and nothing may be stored in its place."""


class QuotaExceeded(TooLarge):
    """More bytes than the collection may hold."""


class RestoreConflict(Conflict):
    """The entry of the trash cannot become what it was; the detail says what can be done."""


class PreconditionFailed(DomainError):
    """If-Match does not name the item as it is."""


class LastOwner(Conflict):
    """The change would leave a collection without an owner."""


PROBLEMS: ProblemTable = {
    WrongCredentials: ProblemType(401, "wrong-credentials", "The name or the password is wrong"),
    TooManyAttempts: ProblemType(429, "too-many-attempts", "Too many failed logins"),
    InvalidDocument: ProblemType(400, "invalid-document", "The STAC document is not valid"),
    InvalidQuery: ProblemType(400, "invalid-query", "The search is not valid"),
    CollectionNotEmpty: ProblemType(409, "collection-not-empty", "The collection is not empty"),
    InTrash: ProblemType(409, "item-in-trash", "The id's cube is kept in the trash"),
    RestoreConflict: ProblemType(409, "restore-conflict", "Not to be restored as it was"),
    QuotaExceeded: ProblemType(413, "quota-exceeded", "The collection has no room"),
    PreconditionFailed: ProblemType(412, "precondition-failed", "The item is another by now"),
    LastOwner: ProblemType(409, "last-owner", "A collection needs an owner"),
}

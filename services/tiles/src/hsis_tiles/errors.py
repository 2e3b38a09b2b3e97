"""Errors of tiles and how they are told."""

from hsis.errors import DomainError, ProblemTable, ProblemType, Unavailable


class DamagedCube(DomainError):
    """What is stored for a cube contradicts itself."""


class UnsupportedExport(DomainError):
    """The format cannot hold such a cube; the detail says which can."""


class TooManyExports(Unavailable):
    """As many exports are under way as a setting allows."""


PROBLEMS: ProblemTable = {
    DamagedCube: ProblemType(500, "damaged-cube", "The stored cube is damaged"),
    UnsupportedExport: ProblemType(422, "unsupported-export", "The format cannot hold this cube"),
    TooManyExports: ProblemType(503, "too-many-exports", "Too many exports at once"),
}

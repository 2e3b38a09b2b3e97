"""Errors of tiles and how they are told."""

from hsis.errors import DomainError, ProblemTable, ProblemType


class DamagedCube(DomainError):
    """What is stored for a cube contradicts itself."""


PROBLEMS: ProblemTable = {
    DamagedCube: ProblemType(500, "damaged-cube", "The stored cube is damaged"),
}

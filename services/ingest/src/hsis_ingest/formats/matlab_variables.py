"""The variables of MATLAB files: what they are, and which of them is the cube."""

from collections.abc import Sequence
from dataclasses import dataclass

from hsis_ingest.errors import UnsupportedFormat, VariableNeeded
from hsis_ingest.formats.source import ReadOptions

NUMERIC = {
    "double", "single", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64",
    "logical",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable as the file declares it."""

    name: str
    shape: tuple[int, ...]
    kind: str

    @property
    def numeric(self) -> bool:
        """Whether it is an array of numbers."""
        return self.kind in NUMERIC

    @property
    def told(self) -> str:
        """Name and shape, for messages."""
        return f"{self.name} ({' x '.join(map(str, self.shape))} {self.kind})"


def choose(
    variables: Sequence[Variable],
    name: str,
    options: ReadOptions,
    size: tuple[int, int] | None,
    bands: int | None,
) -> Variable:
    """The variable that holds the cube.

    The named one; where `axes` are two letters, the only numeric array of two axes; else the only
    one of three axes; else the only one of two axes with one of (rows x columns) pixels, or that of
    them with nBand (`bands`) bands. VariableNeeded otherwise.
    """
    numeric = [variable for variable in variables if variable.numeric]
    candidates = [v for v in numeric if len(v.shape) == 3] or [
        v for v in numeric if len(v.shape) == 2 and min(v.shape) > 1
    ]
    told = ", ".join(variable.told for variable in candidates) or "none"
    if options.variable is not None:
        for variable in variables:
            if variable.name == options.variable:
                return usable(variable, name)
        raise VariableNeeded(f"{name} has no variable {options.variable!r}; it has {told}.")
    planes = [v for v in numeric if len(v.shape) == 2 and min(v.shape) > 1]
    if options.axes is not None and len(options.axes) == 2 and len(planes) == 1:
        return planes[0]
    if len(candidates) == 1 and len(candidates[0].shape) == 3:
        return candidates[0]
    flat = [v for v in candidates if len(v.shape) == 2]
    if flat and size is not None:
        fitting = [v for v in flat if size[0] * size[1] in v.shape]
        named = [v for v in fitting if bands in v.shape]
        for found in (fitting, named):
            if len(found) == 1:
                return found[0]
        told = ", ".join(variable.told for variable in fitting) or told
    elif flat:
        raise VariableNeeded(
            f"{name} holds no array of three axes. Give `variable` and `rows` and `columns`; "
            f"candidates: {told}."
        )
    raise VariableNeeded(f"Give `variable`: the candidates in {name} are {told}.")


def usable(variable: Variable, name: str) -> Variable:
    """The variable, where it can be a cube."""
    if not variable.numeric or len(variable.shape) not in {2, 3} or 0 in variable.shape:
        raise UnsupportedFormat(
            f"{name}: {variable.told} is no array of numbers with two or three axes."
        )
    return variable

"""What a process is: a description, a plan made of checked inputs, and array code over blocks."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from hsis.contracts.ids import ResourceId
from hsis.contracts.spectra import Spectrum
from hsis.cube.classes import CubeClass
from hsis.cube.gains import Gain
from hsis.cube.layout import CubeInfo
from hsis_inference.device import Device


class ProcessInputs(BaseModel):
    """The inputs that every process has; each process adds its own."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    collection: ResourceId = Field(title="Collection", description="The source item's collection")
    item: ResourceId = Field(title="Item", description="The source item")
    id: ResourceId | None = Field(
        default=None,
        title="Result id",
        description="The id of the result item in the same collection; made up when not given",
    )

    @property
    def parameters(self) -> dict[str, Any]:
        """The process's own inputs as plain JSON, those not given left out."""
        return self.model_dump(mode="json", exclude={"collection", "item", "id"}, exclude_none=True)


class ResultBands(BaseModel):
    """What the result cube holds; `classes` where its values stand for classes."""

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="strings")

    dtype: str
    names: tuple[str, ...]
    nodata: float
    unit: str | None = None
    classes: tuple[CubeClass, ...] = ()


class Plan(BaseModel):
    """Everything that a block's computation needs besides the values; kept as JSON with the job.

    `bands` are the source bands to read, from 0, and `scale` and `offset` theirs; `values` are the
    process's own.
    """

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="strings")

    bands: tuple[int, ...]
    scale: Gain
    offset: Gain
    nodata: float | None
    result: ResultBands
    values: dict[str, Any] = Field(default_factory=dict)


class Process(ABC):
    """What every process is told by, and its plan. It computes as one of the two classes below,
    whose methods are pure array code and run in an executor."""

    id: ClassVar[str]
    title: ClassVar[str]
    description: ClassVar[str]
    inputs: ClassVar[type[ProcessInputs]]

    @abstractmethod
    def plan(self, inputs: Any, info: CubeInfo, library: Sequence[Spectrum]) -> Plan:
        """The plan for a cube, or InvalidInput that names the input and says what is right."""


class OnePassProcess(Process):
    """A process whose result at a pixel depends on that pixel alone."""

    @abstractmethod
    def compute(self, plan: Plan, block: NDArray[Any], device: Device) -> NDArray[Any]:
        """The result of a block (band, y, x) of stored values of `plan.bands`: (result band, y, x)
        in the result's dtype."""


class TwoPassProcess(Process):
    """A process that first gathers statistics of the whole scene.

    The first pass is `gather` of every block, `merge` of the partial results two by two in the
    order of the blocks, and `conclude`, whose answer every `compute` of the second pass gets.
    """

    @abstractmethod
    def gather(self, plan: Plan, block: NDArray[Any], device: Device) -> bytes:
        """The partial result of a block (band, y, x) of stored values of `plan.bands`."""

    @abstractmethod
    def merge(self, first: bytes, second: bytes) -> bytes:
        """Two partial results as one."""

    @abstractmethod
    def conclude(self, partial: bytes) -> bytes:
        """What `compute` needs, of the merged partial results; NotEnoughPixels."""

    @abstractmethod
    def compute(
        self, plan: Plan, model: bytes, block: NDArray[Any], device: Device
    ) -> NDArray[Any]:
        """The result of a block, as of a process of one pass; `model` is of `conclude`."""


AnyProcess = OnePassProcess | TwoPassProcess


def empty_result(plan: Plan, pixels: int) -> NDArray[Any]:
    """A result (band, pixel) that is nodata everywhere."""
    return np.full((len(plan.result.names), pixels), plan.result.nodata, plan.result.dtype)

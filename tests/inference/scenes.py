"""Cubes and plans for tests of the array code."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsis.cube.layout import CubeInfo
from hsis_inference.device import Device
from hsis_inference.processes.base import (
    AnyProcess,
    Plan,
    Process,
    ProcessInputs,
    TwoPassProcess,
)
from hsis_inference.scene import footprints

SOURCE = {"collection": "lab", "item": "cube"}


def plan_of(process: Process, info: CubeInfo, library: Any = (), /, **inputs: Any) -> Plan:
    """The plan as a job keeps it: through JSON and back."""
    checked: ProcessInputs = process.inputs.model_validate(SOURCE | inputs)
    return Plan.model_validate_json(process.plan(checked, info, library).model_dump_json())


def run(
    process: AnyProcess, plan: Plan, cube: NDArray[Any], device: Device, order: Any = None
) -> NDArray[Any]:
    """The whole result, block by block; the first pass takes the blocks in `order`."""
    places = footprints(*cube.shape[1:])

    def block(index: int) -> NDArray[Any]:
        place = places[index]
        return cube[list(plan.bands), slice(*place.rows)][:, :, slice(*place.columns)]

    model: tuple[bytes, ...] = ()
    if isinstance(process, TwoPassProcess):
        parts = {
            index: process.gather(plan, block(index), device)
            for index in order or range(len(places))
        }
        total = parts[0]
        for index in range(1, len(places)):
            total = process.merge(total, parts[index])
        model = (process.conclude(total),)
    shape = (len(plan.result.names), *cube.shape[1:])
    result = np.zeros(shape, plan.result.dtype)
    for index, place in enumerate(places):
        made = process.compute(plan, *model, block(index), device)
        assert made.dtype == np.dtype(plan.result.dtype)
        result[:, slice(*place.rows), slice(*place.columns)] = made
    return result


def info_of(cube: NDArray[Any], **more: Any) -> CubeInfo:
    """The description of a cube (band, y, x)."""
    return CubeInfo(cube.shape, cube.dtype, **more)

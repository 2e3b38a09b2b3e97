"""The processes on offer."""

from collections.abc import Mapping

from hsis_inference.errors import NoSuchProcess
from hsis_inference.processes.base import AnyProcess
from hsis_inference.processes.normalized_difference import NormalizedDifference
from hsis_inference.processes.rx import Rx
from hsis_inference.processes.sam import Sam

PROCESSES: Mapping[str, AnyProcess] = {
    process.id: process for process in (NormalizedDifference(), Sam(), Rx())
}


def process_of(name: str) -> AnyProcess:
    """The process of that id; NoSuchProcess lists those there are."""
    if name not in PROCESSES:
        raise NoSuchProcess(f"There is no process {name!r}; there are {', '.join(PROCESSES)}.")
    return PROCESSES[name]

"""Time that passes at once: what waits is tried in milliseconds, however slow the machine is."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Skipping(selectors.SelectSelector):
    """Waits for nothing: the time that it was to wait has passed."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "everything waits, and nothing for a time"
        self.now_s += timeout
        return super().select(0)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._skipping = _Skipping()
        super().__init__(self._skipping)

    def time(self) -> float:
        return self._skipping.now_s


def run_skipping_waits(main: Coroutine[Any, Any, T]) -> T:
    """Run what does no input or output on an event loop of its own, whose clock begins at 0 and
    moves only while everything waits."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(main)

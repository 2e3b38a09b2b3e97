"""Work that goes on as long as the process does, and no longer."""

import asyncio
from collections.abc import Callable

import pytest

from hsis.errors import Unavailable
from hsis_ingest.loops import forever


@pytest.mark.parametrize("failure", [lambda: Unavailable("away"), lambda: KeyError("a fault")])
async def test_a_step_that_fails_while_it_is_ended_does_not_keep_the_work_alive(
    failure: Callable[[], Exception],
) -> None:
    begun = asyncio.Event()

    async def step() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            raise failure()

    task = asyncio.create_task(forever(step, 0.0, 0.0))
    await begun.wait()
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=60)
    task.cancel()  # where it goes on, this test does not
    assert done == {task}
    assert task.cancelled()


async def test_a_step_that_fails_is_followed_by_the_next() -> None:
    steps: list[int] = []
    enough = asyncio.Event()

    async def step() -> None:
        steps.append(len(steps))
        if len(steps) == 3:
            enough.set()
            await asyncio.Event().wait()
        raise Unavailable("away")

    task = asyncio.create_task(forever(step, 0.0, 0.0))
    async with asyncio.timeout(60):
        await enough.wait()
    task.cancel()
    assert steps == [0, 1, 2]

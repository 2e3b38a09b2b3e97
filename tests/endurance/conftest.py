"""An installation whose services are killed, in the tests' own process."""

from collections.abc import AsyncIterator

import pytest

from hsis_embedded.stack import Stack
from tests.support.api import Session, session
from tests.support.stacks import stack_in

PASSWORD = "password-of-the-endurance-tests"


@pytest.fixture(scope="module")
async def installation(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[Stack, Session]]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("HSIS_LEASE_S", "3")  # of the killed, soon over
        environment.setenv("HSIS_WORKER_POLL_S", "0.2")
        with stack_in(tmp_path_factory.mktemp("endurance") / "home", PASSWORD) as stack:
            await stack.start()
            async with session(stack.url, PASSWORD) as api:
                yield stack, api

"""An installation whose services are killed, in the tests' own process."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hsis_embedded.readiness import free_port
from hsis_embedded.settings import EmbeddedSettings
from hsis_embedded.stack import Stack
from tests.support.api import Session, session

PASSWORD = "password-of-the-endurance-tests"


@pytest.fixture(scope="module")
async def installation(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[Stack, Session]]:
    project = Path(__file__).resolve().parents[2]
    settings = EmbeddedSettings(
        home=tmp_path_factory.mktemp("endurance") / "home",
        port=free_port(),
        admin_password=PASSWORD,
        caddyfile=project / "compose" / "Caddyfile",
        node_modules=project / "services" / "web" / "node_modules",
    )
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("HSIS_LEASE_S", "3")  # of the killed, soon over
        environment.setenv("HSIS_WORKER_POLL_S", "0.2")
        with Stack(settings) as stack:
            await stack.start()
            async with session(stack.url, PASSWORD) as api:
                yield stack, api

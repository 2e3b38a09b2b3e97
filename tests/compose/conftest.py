"""One installation in containers, for all the tests here."""

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from hsis.service.secret_files import IN_A_PRIVATE_FOLDER, Secrets
from hsis_embedded.readiness import free_port
from tests.compose import engine as engines
from tests.support.api import Session, session
from tests.support.containers import Containers

BASE_IMAGES = Path(__file__).parent / "base-images" / "make.py"
SETTINGS = """
ingest: {lease_s: 4, worker_poll_s: 0.5, max_attempts: 20, retry_delay_s: 0.5}
inference: {lease_s: 4, worker_poll_s: 0.5, max_attempts: 20, retry_delay_s: 0.5}
"""
DOWN = ("--profile", "admin", "down", "--volumes", "--remove-orphans")


@pytest.fixture(scope="session")
def containers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containers]:
    """Images built of the Dockerfiles, and everything started and ready."""
    # By a process of its own, which leaves the engine running.
    subprocess.run([sys.executable, engines.__file__, "start"], check=True)
    engine = engines.found()
    folder = tmp_path_factory.mktemp("compose")
    (folder / "hsis.yaml").write_text(SETTINGS)
    Secrets(folder / "secrets", IN_A_PRIVATE_FOLDER).for_containers()
    installation = Containers("hsis-test", free_port(), folder / "secrets", engine.variables)
    subprocess.run([sys.executable, str(BASE_IMAGES)], env=installation.environment, check=True)
    installation.compose("build", "--quiet")
    installation.compose(*DOWN)
    try:
        installation.up()
        yield installation
    finally:
        print(installation.compose("ps", "--all"))
        installation.compose(*DOWN, check=False)


@pytest.fixture
async def api(containers: Containers) -> AsyncIterator[Session]:
    """The administrator's clients of it."""
    async with session(containers.url, containers.admin_password) as opened:
        yield opened

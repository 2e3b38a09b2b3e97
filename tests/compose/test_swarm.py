"""compose/swarm.yaml on a swarm of one node: a cube through it, and a rolling update.

By its name the last of the files here: once a swarm is left, Docker 20.10 gives the containers that
ran beside it no names of each other any more, until they are made anew.
"""

import asyncio
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest

from hsis_embedded.readiness import free_port
from tests.compose.test_main_job import upload
from tests.support.api import session
from tests.support.containers import COMPOSE, Containers

STACK = "hsis-test-swarm"
CUBE = np.random.default_rng(12).integers(0, 4000, (40, 64, 64), dtype=np.uint16)
READY_S = 180.0
LABELS = ("hsis-data=true", "gpu=true")


@dataclass(frozen=True)
class Stack:
    """The stack that runs, and the installation whose images and secrets it uses."""

    containers: Containers
    url: str

    def docker(self, *words: str) -> str:
        return self.containers.docker(*words)

    def running(self) -> dict[str, str]:
        """Of each service how many tasks run of how many wanted, such as `1/1`."""
        lines = self.docker(
            "stack", "services", STACK, "--format", "{{.Name}} {{.Replicas}}"
        ).splitlines()
        return {
            name.removeprefix(f"{STACK}_"): replicas
            for name, _, replicas in (line.partition(" ") for line in lines)
        }


@pytest.fixture(scope="module")
def swarm(containers: Containers) -> Iterator[None]:
    """A swarm of this one node, which is left again."""
    state = containers.docker("info", "--format", "{{.Swarm.LocalNodeState}}").strip()
    assert state == "inactive", "this engine is in a swarm already: the test would change it"
    containers.docker("swarm", "init", "--advertise-addr=127.0.0.1", "--listen-addr=127.0.0.1")
    labels = [word for label in LABELS for word in ("--label-add", label)]
    node = containers.docker("node", "ls", "--quiet").strip()
    containers.docker("node", "update", *labels, node)
    try:
        yield
    finally:
        containers.docker("swarm", "leave", "--force")


@pytest.fixture(scope="module")
def stack(containers: Containers, swarm: None) -> Iterator[Stack]:
    """The stack, once every service runs; its volumes are removed afterwards."""
    port = free_port()
    settings = {
        "HSIS_PORT": str(port),
        "HSIS_TLS_PORT": str(free_port()),
        "HSIS_INFERENCE_IMAGE": "inference-cpu",
        "HSIS_DEVICE": "cpu",
    }
    # The images are this machine's own, so no registry is asked for them.
    deploy = ("docker", "stack", "deploy", "--resolve-image=never")
    subprocess.run(
        [*deploy, "--compose-file", str(COMPOSE / "swarm.yaml"), STACK],
        env={**containers.environment, **settings},
        check=True,
    )
    found = Stack(containers, f"http://127.0.0.1:{port}")
    try:
        deadline = time.monotonic() + READY_S
        while not _ready(found):
            assert time.monotonic() < deadline, found.docker("stack", "ps", "--no-trunc", STACK)
            time.sleep(1)
        yield found
    finally:
        containers.docker("stack", "rm", STACK)
        _wait_for_its_end(containers)


def _ready(stack: Stack) -> bool:
    services = {name: told for name, told in stack.running().items() if "provision" not in name}
    if any(not told.startswith("1/1") for told in services.values()):
        return False
    try:
        return all(
            httpx.get(f"{stack.url}{path}", trust_env=False, timeout=5).status_code < 500
            for path in ("/stac", "/processes", "/uploads", "/cubes/a/b/spectrum", "/")
        )
    except httpx.TransportError:
        return False


def _wait_for_its_end(containers: Containers) -> None:
    """Until its networks and volumes are gone: a swarm left earlier would keep the networks."""
    deadline = time.monotonic() + 90
    of_stack = ("--quiet", "--filter", f"label=com.docker.stack.namespace={STACK}")
    while True:
        volumes = containers.docker("volume", "ls", *of_stack).split()
        if volumes:
            containers.docker("volume", "rm", *volumes, check=False)
        elif not containers.docker("network", "ls", *of_stack).split():
            return
        assert time.monotonic() < deadline, f"of {STACK} something is still there"
        time.sleep(0.5)


async def test_a_cube_goes_through_and_an_update_is_not_noticed(
    stack: Stack, tmp_path: Path
) -> None:
    async with session(stack.url, stack.containers.admin_password) as api:
        await upload(api, CUBE, tmp_path, "swarm", "cube")
        job, _ = await api.run("rx", collection="swarm", item="cube", id="score")
        assert job.status.value == "successful", job

        update = ("service", "update", "--force", "--detach=false", f"{STACK}_tiles")
        updating = asyncio.create_task(asyncio.to_thread(stack.docker, *update))
        read = 0
        while not updating.done():
            spectrum = await api.tiles.spectrum("swarm", "cube", 5, 9, token=api.token)
            np.testing.assert_array_equal(spectrum.values, CUBE[:, 9, 5])
            read += 1
            await asyncio.sleep(0.1)
        await updating
        assert read > 10
        format_ = "{{.UpdateStatus.State}}"
        told = stack.docker("service", "inspect", f"{STACK}_tiles", "--format", format_)
        assert told.strip() == "completed"


def test_networks_are_overlays_and_secrets_objects_of_the_swarm(stack: Stack) -> None:
    told = stack.docker("network", "inspect", f"{STACK}_backend", "--format", "{{json .}}")
    assert '"Driver":"overlay"' in told
    assert '"Internal":true' in told
    encrypted = os.environ.get("HSIS_OVERLAY_ENCRYPTED", "true")
    assert f'"encrypted":"{encrypted}"' in told
    names = stack.docker("secret", "ls", "--format", "{{.Name}}").split()
    assert f"{STACK}_postgres_password" in names
    for service in stack.running():
        mode = stack.docker(
            "service", "inspect", f"{STACK}_{service}", "--format", "{{.Spec.EndpointSpec.Mode}}"
        )
        assert mode.strip() == "dnsrr", service

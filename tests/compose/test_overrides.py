"""Each override of compose/overrides, really started, and a cube through the installation in it."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.compose.test_isolation import TRY
from tests.compose.test_main_job import upload
from tests.support.api import session
from tests.support.containers import Containers

CUBE = np.random.default_rng(6).integers(0, 4000, (40, 64, 64), dtype=np.uint16)
POSTGRES, CATALOG, STORAGE_PROXY, OBJECTS = (f"172.31.242.{n}" for n in (210, 211, 212, 213))
EDGE_GATEWAY = "172.31.241.1"
LAN_ADDRESS = "172.31.243.10"
PYTHON_IMAGE = "python:3.11-slim-bookworm"
MINIO_IMAGE = "minio/minio:RELEASE.2025-09-07T16-13-09Z"


@pytest.fixture(scope="module")
def original(containers: Containers) -> Iterator[Containers]:
    """The installation, which is as it was after the tests here."""
    yield containers
    containers.up("--remove-orphans")
    # What only an override names is not removed by `down`.
    for network in ("lan", "outside"):
        containers.docker("network", "rm", f"{containers.project}_{network}", check=False)


async def check_main_job(installation: Containers, folder: Path, collection: str) -> None:
    """A cube goes in, is read and processed, and is removed."""
    async with session(installation.url, installation.admin_password) as api:
        await upload(api, CUBE, folder, collection, "cube")
        spectrum = await api.tiles.spectrum(collection, "cube", 5, 9, token=api.token)
        np.testing.assert_array_equal(spectrum.values, CUBE[:, 9, 5])
        job, result = await api.run("rx", collection=collection, item="cube")
        assert job.status.value == "successful", job
        for item in (result["id"], "cube"):
            await api.catalog.delete_item(collection, item, token=api.token)


def networks(installation: Containers, service: str) -> dict[str, str]:
    """The address of a service's container in each of its networks."""
    [container] = installation.ids(service)
    found = installation.inspect(container)["NetworkSettings"]["Networks"]
    prefix = f"{installation.project}_"
    return {name.removeprefix(prefix): told["IPAddress"] for name, told in found.items()}


async def test_inference_in_the_hosts_network_and_fixed_addresses(
    original: Containers, tmp_path: Path
) -> None:
    changed = original.configured(
        *("inference-host", "static-addresses"),
        HSIS_POSTGRES_ADDRESS=POSTGRES,
        HSIS_CATALOG_ADDRESS=CATALOG,
        HSIS_STORAGE_PROXY_ADDRESS=STORAGE_PROXY,
        HSIS_OBJECTS_ADDRESS=OBJECTS,
        HSIS_INFERENCE_HOST_BIND=EDGE_GATEWAY,
    )
    changed.up()
    assert networks(changed, "inference") == {"host": ""}
    assert networks(changed, "postgres") == {"backend": POSTGRES}
    assert networks(changed, "objects") == {"backend": OBJECTS}
    await check_main_job(changed, tmp_path, "host")


def parent_interface() -> str:
    """The interface of the default route."""
    told = subprocess.run(
        ["ip", "-json", "route", "show", "default"], capture_output=True, text=True, check=True
    )
    name: str = json.loads(told.stdout)[0]["dev"]
    return name


@pytest.mark.parametrize("driver", ["macvlan", "ipvlan"])
def test_the_edge_as_a_machine_of_the_labs_network(original: Containers, driver: str) -> None:
    parent = parent_interface()
    trial = ("network", "create", "--driver", driver, "--opt", f"parent={parent}")
    name = f"{original.project}-trial"
    try:
        original.docker(*trial, name)
        original.docker("run", "--rm", "--network", name, PYTHON_IMAGE, "true")
    except RuntimeError as error:
        if "not supported" not in str(error):
            raise
        pytest.skip(f"this machine's kernel has no {driver}")
    finally:
        original.docker("network", "rm", name, check=False)
    changed = original.configured(
        f"edge-{driver}",
        HSIS_LAN_ADDRESS=LAN_ADDRESS,
        HSIS_LAN_PARENT=parent,
        HSIS_LAN_SUBNET="172.31.243.0/24",
        HSIS_LAN_GATEWAY="172.31.243.1",
    )
    changed.up("edge")
    assert networks(changed, "edge")["lan"] == LAN_ADDRESS
    # Another machine of that network.
    told = changed.docker(
        *("run", "--rm", "--network", f"{changed.project}_lan"),
        *(PYTHON_IMAGE, "python3", "-c", TRY, f"{LAN_ADDRESS}:8080", f"{LAN_ADDRESS}:2020"),
    )
    assert told.split() == [f"{LAN_ADDRESS}:8080", "open", f"{LAN_ADDRESS}:2020", "closed"]
    # The published port stays for this machine.
    assert httpx.get(f"{changed.url}/stac", trust_env=False).status_code == 200
    original.up("edge")
    original.docker("network", "rm", f"{changed.project}_lan")


async def test_another_object_store_in_place_of_minio(original: Containers, tmp_path: Path) -> None:
    other = f"{original.project}-other-store"
    changed = original.configured("external-s3", HSIS_S3_ENDPOINT_URL=f"http://{other}:9000")
    keys = {
        variable: (original.secrets / name).read_text().strip()
        for variable, name in (
            ("MINIO_ROOT_USER", "s3_access_key"),
            ("MINIO_ROOT_PASSWORD", "s3_secret_key"),
        )
    }
    original.compose("stop", "objects")
    changed.compose("create", "storage-proxy")
    try:
        changed.docker(
            *("run", "--detach", "--name", other, "--network", f"{changed.project}_outside"),
            *(part for name, value in keys.items() for part in ("--env", f"{name}={value}")),
            *(MINIO_IMAGE, "server", "/data"),
        )
        changed.up()
        running = changed.docker("ps", "--format", '{{.Label "com.docker.compose.service"}}')
        assert "objects" not in running.split()
        assert set(networks(changed, "storage-proxy")) == {"backend", "outside"}
        assert set(networks(changed, "tiles")) == {"backend"}
        await check_main_job(changed, tmp_path, "elsewhere")
    finally:
        changed.docker("rm", "--force", "--volumes", other)

"""Starting, stopping and starting again; two side by side; the death of one child."""

import os
import signal
import stat
from pathlib import Path

import httpx
import psutil
import pytest
from tests.support.embedded import Embedded

from hsis.clients.catalog import CatalogClient


def children(installation: Embedded) -> list[psutil.Process]:
    assert installation.process is not None
    return psutil.Process(installation.process.pid).children(recursive=True)


async def collections(installation: Embedded, create: str | None = None) -> set[str]:
    """The ids of the collections there, after making one."""
    async with httpx.AsyncClient(trust_env=False) as http:
        catalog = CatalogClient(http, installation.url)
        token = (await catalog.login("admin", installation.admin_password)).access_token
        if create:
            await catalog.create_collection(
                {"id": create, "description": "made by a test"}, token=token
            )
        return {entry["id"] for entry in await catalog.collections(token=token)}


async def test_the_life_of_an_installation_beside_another(
    embedded: Embedded, tmp_path: Path
) -> None:
    installation = Embedded.at(tmp_path / "home")
    lines = installation.start(HSIS_ADMIN_PASSWORD="")
    [told] = [line for line in lines if "password" in line]
    installation.admin_password = told.rsplit(" ", 1)[1]
    kept = (installation.home / "secrets" / "admin_password").read_text()
    assert kept == installation.admin_password
    assert "only-here" in await collections(installation, create="only-here")
    assert "only-here" not in await collections(embedded)
    processes = children(installation)
    assert len(processes) >= 9
    assert installation.stop(signal.SIGINT) == 0
    assert psutil.wait_procs(processes, timeout=60)[1] == []

    # Data and password are found again, and the password is not told twice.
    lines = installation.start(HSIS_ADMIN_PASSWORD="")
    assert not any("password" in line for line in lines)
    assert "only-here" in await collections(installation)

    # The death of one child ends all of them, and none of the other installation's.
    processes = children(installation)
    [tiles] = [p for p in processes if "hsis_tiles.app:create_app" in " ".join(p.cmdline())]
    os.kill(tiles.pid, signal.SIGKILL)
    assert installation.process is not None
    installation.process.wait(180)
    assert installation.stop() == 1
    assert psutil.wait_procs(processes, timeout=60)[1] == []
    assert len(children(embedded)) >= 9


def test_a_second_instance_in_one_home_is_refused(embedded: Embedded) -> None:
    intruder = Embedded.at(embedded.home)
    with pytest.raises(RuntimeError, match="Another instance runs"):
        intruder.start()


def test_secrets_are_readable_by_their_owner_alone(embedded: Embedded) -> None:
    files = [path for path in (embedded.home / "secrets").rglob("*") if path.is_file()]
    assert len(files) > 10
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_database_and_object_store_listen_on_loopback_only(embedded: Embedded) -> None:
    assert embedded.process is not None
    listening = {
        connection.laddr.ip
        for process in psutil.Process(embedded.process.pid).children(recursive=True)
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


async def test_health_and_metrics_are_not_served_through_the_edge(embedded: Embedded) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        for path in ("/livez", "/readyz", "/metrics"):
            assert (await http.get(embedded.url + path)).status_code == 404

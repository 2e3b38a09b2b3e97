"""Who reaches whom, as whom it runs, and what can be seen of the secrets."""

import json
from pathlib import Path

import yaml

from tests.support.containers import COMPOSE, Containers

SERVICES = (
    "edge",
    "catalog",
    "storage-proxy",
    "ingest",
    "tiles",
    "inference",
    "web",
    "postgres",
    "objects",
)
TRY = """
import socket, sys
for target in sys.argv[1:]:
    host, port = target.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), timeout=2).close()
        print(target, "open")
    except OSError:
        print(target, "closed")
"""


def reachable(containers: Containers, network: str, *targets: str) -> set[str]:
    """The targets that a container in a network can connect to."""
    told = containers.docker(
        *("run", "--rm", "--network", f"{containers.project}_{network}"),
        *("python:3.11-slim-bookworm", "python3", "-c", TRY, *targets),
    )
    return {line.split()[0] for line in told.splitlines() if line.endswith(" open")}


def addresses(containers: Containers) -> dict[str, str]:
    """The address of each service's container in the network backend."""
    found = {}
    for service in SERVICES:
        [container] = containers.ids(service)
        networks = containers.inspect(container)["NetworkSettings"]["Networks"]
        found[service] = networks[f"{containers.project}_backend"]["IPAddress"]
    return found


def test_from_the_edge_network_nothing_but_the_edge_answers(containers: Containers) -> None:
    ports = {"postgres": 5432, "objects": 9000}
    inside = {f"{a}:{ports.get(s, 8000)}" for s, a in addresses(containers).items() if s != "edge"}
    # The control: from within, they all answer.
    assert reachable(containers, "backend", *inside) == inside
    assert reachable(containers, "edge", "edge:8080", *inside) == {"edge:8080"}


def test_no_route_leads_out_of_backend(containers: Containers) -> None:
    nameservers = [
        f"{line.split()[1]}:53"
        for line in Path("/etc/resolv.conf").read_text().splitlines()
        if line.startswith("nameserver") and ":" not in line
    ]
    # The control: another network of the same engine leads out.
    assert reachable(containers, "edge", *nameservers)
    assert reachable(containers, "backend", *nameservers) == set()


def test_only_the_edge_publishes_and_the_consoles_on_loopback(containers: Containers) -> None:
    for service in SERVICES:
        [container] = containers.ids(service)
        published = containers.inspect(container)["HostConfig"]["PortBindings"] or {}
        if service != "edge":
            assert published == {}, service
        else:
            for port in ("9001/tcp", "5050/tcp"):
                assert {binding["HostIp"] for binding in published[port]} == {"127.0.0.1"}


def test_all_run_without_root_on_a_read_only_root(containers: Containers) -> None:
    for service in SERVICES:
        [container] = containers.ids(service)
        told = containers.inspect(container)
        assert told["HostConfig"]["ReadonlyRootfs"], service
        assert told["HostConfig"]["CapDrop"] == ["ALL"], service
        assert told["HostConfig"]["Memory"] > 0, service
        assert told["HostConfig"]["PidsLimit"] > 0, service
        assert containers.run_in(service, "id", "-u").strip() not in {"", "0"}, service
        wrote = containers.run_in(service, "sh", "-c", "echo x > /x && echo written", check=False)
        assert "written" not in wrote, service


def test_no_secret_in_what_the_engine_tells_or_the_logs(containers: Containers) -> None:
    secrets = {path.name: path.read_text().strip() for path in containers.secrets.iterdir()}
    del secrets["token_public_key"]
    values = {
        name: value.splitlines()[len(value.splitlines()) // 2] for name, value in secrets.items()
    }
    for service in SERVICES:
        [container] = containers.ids(service)
        described = containers.inspect(container)
        told = json.dumps(described) + containers.logs(container)
        told += containers.docker("history", "--no-trunc", described["Image"])
        for name, value in values.items():
            assert value not in told, f"{name} is told of {service}"


def test_each_role_sees_its_own_schema_alone(containers: Containers) -> None:
    rows = containers.sql(
        "SELECT r.rolname, n.nspname FROM pg_roles r, pg_namespace n"
        " WHERE r.rolname LIKE 'hsis%' AND n.nspname IN ('catalog', 'ingest', 'inference')"
        " AND has_schema_privilege(r.rolname, n.nspname, 'USAGE')"
    )
    schemas = ("catalog", "inference", "ingest")
    assert sorted(rows.split()) == [f"hsis_{schema}|{schema}" for schema in schemas]
    powers = "rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls"
    told = containers.sql(f"SELECT rolname FROM pg_roles WHERE ({powers}) AND rolname LIKE 'hsis%'")
    assert told.strip() == ""


def test_the_gpu_file_holds_the_reservation(containers: Containers) -> None:
    told = containers.docker("compose", "-f", str(COMPOSE / "compose.yaml"), "config")
    inference = yaml.safe_load(told)["services"]["inference"]
    [device] = inference["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["count"], device["capabilities"]) == ("nvidia", 1, ["gpu"])
    without = yaml.safe_load(containers.compose("config"))["services"]["inference"]
    assert "reservations" not in without.get("deploy", {}).get("resources", {})


def test_a_wrong_key_in_the_settings_file_is_named(containers: Containers) -> None:
    told = containers.compose(
        *("run", "--rm", "--no-deps", "-T", "--entrypoint", "sh", "tiles", "-c"),
        "echo 'tiles: {reader_thread: 2}' > /tmp/h.yaml;"
        " HSIS_CONFIG=/tmp/h.yaml python -c 'import hsis_tiles.settings as s; s.Settings()' 2>&1",
        check=False,
    )
    assert "tiles.reader_thread is not a setting" in told
    assert "reader_threads" in told

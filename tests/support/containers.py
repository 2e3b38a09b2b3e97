"""The compose file on a real engine, driven as an operator drives it."""

import json
import os
import subprocess
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

COMPOSE = Path(__file__).resolve().parents[2] / "compose"
FILES = (COMPOSE / "compose.yaml", COMPOSE / "compose.cpu.yaml")


@dataclass(frozen=True)
class Containers:
    """One installation: its project name, its port, and the folder of its secrets.

    `settings` are what an operator writes into compose/.env, `overrides` names of files in
    compose/overrides.
    """

    project: str
    port: int
    secrets: Path
    engine: dict[str, str]
    settings: dict[str, str] = field(default_factory=dict)
    overrides: tuple[str, ...] = ()

    def configured(self, *overrides: str, **settings: str) -> "Containers":
        """The same installation as it is after `up` with these settings and overrides."""
        return replace(self, overrides=overrides, settings={**self.settings, **settings})

    @property
    def url(self) -> str:
        """Its one origin."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def admin_password(self) -> str:
        """Of the user admin."""
        return (self.secrets / "admin_password").read_text().strip()

    @property
    def file_arguments(self) -> list[str]:
        """Project and files, as docker compose wants them."""
        files = [*FILES, *(COMPOSE / "overrides" / f"{name}.yaml" for name in self.overrides)]
        return ["-p", self.project, *(part for file in files for part in ("-f", str(file)))]

    @property
    def environment(self) -> dict[str, str]:
        """What the Docker client needs to know."""
        return {
            **os.environ,
            **self.engine,
            "HSIS_BIND": "127.0.0.1",
            "HSIS_PORT": str(self.port),
            "HSIS_TLS_PORT": str(self.port + 1),
            "HSIS_CONSOLE_PORT": str(self.port + 2),
            "HSIS_PGADMIN_PORT": str(self.port + 3),
            "HSIS_SECRETS_FOLDER": str(self.secrets),
            "HSIS_EDGE_SUBNET": "172.31.241.0/24",
            "HSIS_BACKEND_SUBNET": "172.31.242.0/24",
            # A killed worker's lease ends within the tests' patience.
            "HSIS_CONFIG_FILE": str(self.secrets.parent / "hsis.yaml"),
            **self.settings,
        }

    def docker(self, *words: str, check: bool = True) -> str:
        """What a docker command printed; RuntimeError with its errors where it fails."""
        done = subprocess.run(
            ["docker", *words], env=self.environment, capture_output=True, text=True, check=False
        )
        if check and done.returncode != 0:
            raise RuntimeError(f"docker {' '.join(words)}: {done.stdout}\n{done.stderr}")
        return done.stdout

    def logs(self, container: str) -> str:
        """All that a container wrote."""
        done = subprocess.run(
            ["docker", "logs", container],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=True,
        )
        return done.stdout

    def compose(self, *words: str, check: bool = True) -> str:
        """The same for docker compose, with the files of an installation without a GPU."""
        return self.docker("compose", *self.file_arguments, *words, check=check)

    def up(self, *words: str) -> None:
        """Start what is not running and wait until all is ready."""
        self.compose("up", "--detach", "--wait", "--wait-timeout", "240", *words)

    def replace(self, service: str) -> None:
        """New containers in place of a service's old ones, as `make replace` does it."""
        self._operate("replace", service)

    def update(self) -> None:
        """New images and settings in what runs, as `make up` does it before its `up`."""
        self._operate("update")

    def _operate(self, script: str, *words: str) -> None:
        """Run a script of compose/ that is told how to call docker compose."""
        command = ["docker", "compose", *self.file_arguments]
        subprocess.run(
            [str(COMPOSE / script), *words, *command],
            env=self.environment,
            capture_output=True,
            check=True,
        )

    def ids(self, service: str) -> list[str]:
        """The containers of a service that run."""
        return self.compose("ps", "--quiet", service).split()

    def inspect(self, container: str) -> dict[str, Any]:
        """What the engine says of a container."""
        described: list[dict[str, Any]] = json.loads(self.docker("inspect", container))
        return described[0]

    def run_in(self, service: str, *words: str, check: bool = True) -> str:
        """What a command in a service's first container printed."""
        return self.compose("exec", "-T", service, *words, check=check)

    def sql(self, query: str) -> str:
        """What Postgres answers, one row a line, asked as superuser by catalog's driver."""
        return self.run_in("postgres", *_PSQL, query)


_PSQL = ("psql", "-h", "/var/run/postgresql", "-U", "postgres", "-d", "hsis", "-Atc")

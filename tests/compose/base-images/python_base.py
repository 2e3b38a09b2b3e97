"""A stand-in for the official Python image: Debian by debootstrap, Python and pip on top."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from docker import RECIPE_LABEL, DockerError, docker
from machine import CA_BUNDLE, DebianMirror, Machine

RELEASE = "bookworm"
VERSION = "3.11"
# python3-distutils stands for a virtual package that debootstrap does not resolve.
PACKAGES = f"python{VERSION},python{VERSION}-venv,python3-distutils,ca-certificates,netbase,tzdata"
PIP_WHEELS = ("pip", "setuptools<80")
# Left out as in the official slim image.
STRIPPED = (
    *("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "usr/share/lintian"),
    *("var/lib/apt/lists", "var/cache/apt", "var/log", "var/cache/debconf", "debootstrap"),
)


def build(image: str, recipe: str, machine: Machine) -> None:
    """Make the image under that name; takes one to two minutes and root's rights."""
    _install_debootstrap()
    with tempfile.TemporaryDirectory(prefix="hsis-base-") as folder:
        root = Path(folder) / "root"
        _bootstrap(root, machine.debian_mirror(RELEASE))
        _add_pip(root, machine)
        _trust(root, machine)
        _strip(root)
        _import(root, image, recipe, machine)


def _install_debootstrap() -> None:
    if shutil.which("debootstrap") is None:
        subprocess.run(["apt-get", "update", "-qq"], check=True)
        subprocess.run(
            ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "debootstrap"],
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            stdout=subprocess.DEVNULL,
            check=True,
        )


def _bootstrap(root: Path, mirror: DebianMirror) -> None:
    done = subprocess.run(
        [
            *("debootstrap", "--variant=minbase", f"--include={PACKAGES}"),
            *(mirror.release, str(root), mirror.uri),
        ],
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise DockerError("debootstrap failed:\n" + "\n".join(done.stdout.splitlines()[-20:]))


def _add_pip(root: Path, machine: Machine) -> None:
    """pip from PyPI, as the official image has it: Debian's refuses to install into the system."""
    (root / f"usr/lib/python{VERSION}/EXTERNALLY-MANAGED").unlink()
    for name in (f"python{VERSION}", "python3", "python"):
        (root / "usr/local/bin" / name).symlink_to(f"/usr/bin/python{VERSION}")
    wheels = root / "wheels"
    pip = [sys.executable, "-m", "pip", "--quiet"]
    subprocess.run(
        [*pip, "download", "--no-deps", "--only-binary=:all:", "--dest", wheels, *PIP_WHEELS],
        check=True,
    )
    wheel = next(wheels.glob("pip-*.whl"))
    subprocess.run(
        [
            *("chroot", str(root), f"/usr/bin/python{VERSION}", f"/wheels/{wheel.name}/pip"),
            *("install", "--quiet", "--no-index", "--find-links=/wheels", "--no-cache-dir"),
            *("--root-user-action=ignore", "pip", "setuptools"),
        ],
        env={"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"},
        check=True,
    )
    shutil.rmtree(wheels)
    (root / "etc/pip.conf").write_text(machine.pip_configuration)


def _trust(root: Path, machine: Machine) -> None:
    (root / CA_BUNDLE.lstrip("/")).write_bytes(machine.ca_bundle)


def _strip(root: Path) -> None:
    for place in STRIPPED:
        shutil.rmtree(root / place, ignore_errors=True)
    # The official image has no compiled modules either.
    for compiled in (root / "usr/local").rglob("__pycache__"):
        shutil.rmtree(compiled)
    for needed in ("var/lib/apt/lists/partial", "var/cache/apt/archives/partial", "var/log"):
        (root / needed).mkdir(parents=True)
    # apt keeps no package after an installation, and Docker has a resolv.conf for each container.
    (root / "etc/apt/apt.conf.d/90slim").write_text(
        'DPkg::Post-Invoke {"rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin || true";};\n'
        'Acquire::Languages "none";\n'
    )
    (root / "etc/dpkg/dpkg.cfg.d/90slim").write_text(
        "".join(f"path-exclude=/usr/share/{part}/*\n" for part in ("doc", "man", "locale", "info"))
    )
    (root / "etc/resolv.conf").write_text("")
    (root / "etc/hostname").unlink(missing_ok=True)


def _import(root: Path, image: str, recipe: str, machine: Machine) -> None:
    changes = [
        "ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin",
        "ENV LANG=C.UTF-8",
        # Node trusts its own list of certificates unless told of another.
        f"ENV NODE_EXTRA_CA_CERTS={CA_BUNDLE}",
        'CMD ["python3"]',
        f"LABEL {RECIPE_LABEL}={recipe}",
    ]
    if machine.npm_registry is not None:
        changes.append(f"ENV NPM_CONFIG_REGISTRY={machine.npm_registry}")
    options = [option for change in changes for option in ("--change", change)]
    packing = subprocess.Popen(
        ["tar", "--directory", str(root), "--create", "--numeric-owner", "."],
        stdout=subprocess.PIPE,
    )
    with packing:
        docker("import", *options, "-", image, stdin=packing.stdout)
    if packing.returncode != 0:
        raise DockerError("tar could not pack the image")

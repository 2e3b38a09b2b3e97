"""Stand-ins for the official images that HSIS builds on, for a machine without a registry.

    python tests/compose/base-images/make.py           # every image
    python tests/compose/base-images/make.py minio     # those whose name holds a word

An image that is here is left alone; one that a registry gives is pulled; the others are made from
Debian's and PyPI's packages under the official names. A stand-in's label holds the hash of its
recipe, and it is made again when that changes. `HSIS_STAND_INS=always` asks no registry.
"""

import argparse
import hashlib
import os
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import docker
import python_base
from machine import Machine, serve_wheels

HERE = Path(__file__).resolve().parent
PYTHON_IMAGE = "python:3.11-slim-bookworm"


@dataclass(frozen=True)
class StandIn:
    """An image made from a folder with a Dockerfile, on top of the Python image."""

    image: str
    folder: str


STAND_INS = (
    StandIn("caddy:2.10-alpine", "caddy"),
    StandIn("pgvector/pgvector:pg18", "postgres"),
    StandIn("minio/minio:RELEASE.2025-09-07T16-13-09Z", "minio"),
    StandIn("minio/mc:RELEASE.2025-08-13T08-35-41Z", "mc"),
    StandIn("dpage/pgadmin4:9", "pgadmin"),
)


def digest(files: Iterable[Path], *more: bytes) -> str:
    """The hash of a recipe: its files with their names, and what else it depends on."""
    hashed = hashlib.sha256()
    for path in sorted(files):
        hashed.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    for part in more:
        hashed.update(part + b"\0")
    return hashed.hexdigest()[:16]


def is_here(image: str, recipe: str) -> bool:
    """Whether the image need not be made: it is official, or a stand-in by this recipe."""
    labels = docker.labels(image)
    return labels is not None and labels.get(docker.RECIPE_LABEL, recipe) == recipe


def is_official(image: str) -> bool:
    """Whether an image is here, or a registry gives it, that no recipe of ours made."""
    labels = docker.labels(image)
    if labels is not None:
        return docker.RECIPE_LABEL not in labels
    return os.environ.get("HSIS_STAND_INS") != "always" and docker.pull(image)


def say(image: str, what: str) -> None:
    """One line a step: a machine without a registry spends minutes here."""
    sys.stdout.write(f"{image}: {what}\n")
    sys.stdout.flush()


def make_python(machine: Machine) -> str:
    """See to the Python image, and give the hash of its recipe."""
    recipe = digest(
        [HERE / "python_base.py"], machine.ca_bundle, machine.pip_configuration.encode()
    )
    if is_here(PYTHON_IMAGE, recipe):
        say(PYTHON_IMAGE, "here")
    elif is_official(PYTHON_IMAGE):
        say(PYTHON_IMAGE, "pulled")
    else:
        started = time.monotonic()
        python_base.build(PYTHON_IMAGE, recipe, machine)
        say(PYTHON_IMAGE, f"made in {time.monotonic() - started:.0f} s")
    return recipe


def make(stand_in: StandIn, base_recipe: str) -> None:
    """See to one of the other images; the Python image must be there."""
    folder = HERE / stand_in.folder
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    recipe = digest(files, base_recipe.encode())
    if is_here(stand_in.image, recipe):
        say(stand_in.image, "here")
    elif is_official(stand_in.image):
        say(stand_in.image, "pulled")
    else:
        started = time.monotonic()
        docker.build(stand_in.image, folder, recipe)
        say(stand_in.image, f"made in {time.monotonic() - started:.0f} s")


def main() -> None:
    """See to the images that the arguments ask for, the Python image always among them."""
    parser = argparse.ArgumentParser(description="Base images where no registry is reachable.")
    parser.add_argument("word", nargs="*", help="part of an image's name; none for every image")
    words = parser.parse_args().word
    machine = Machine()
    base_recipe = make_python(machine)
    if docker.RECIPE_LABEL in (docker.labels(PYTHON_IMAGE) or {}):
        serve_wheels(machine, PYTHON_IMAGE)
    for stand_in in STAND_INS:
        if not words or any(word in stand_in.image for word in words):
            make(stand_in, base_recipe)
    # Earlier stand-ins, which have lost their names to the new ones.
    docker.docker("image", "prune", "--force", "--filter", f"label={docker.RECIPE_LABEL}")


if __name__ == "__main__":
    try:
        main()
    except docker.DockerError as error:
        sys.exit(f"base images: {error}")

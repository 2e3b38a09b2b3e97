"""What the making of base images asks of the Docker client, which finds its engine by itself."""

import json
import os
import subprocess
from pathlib import Path
from typing import IO

# Names the recipe that a stand-in was made by; an official image has no such label.
RECIPE_LABEL = "hsis.stand-in"
PULL_TIMEOUT_S = 15


class DockerError(RuntimeError):
    """A command of the Docker client failed; the message is what it said."""


def docker(*arguments: str, stdin: IO[bytes] | None = None) -> str:
    """Run the Docker client and give what it wrote to standard output.

    Raises DockerError with its last lines where it fails.
    """
    done = subprocess.run(
        ["docker", *arguments],
        # Debian 12's client builds without it unless told.
        env={**os.environ, "DOCKER_BUILDKIT": "1"},
        stdin=stdin,
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise DockerError(f"docker {' '.join(arguments)}:\n" + "\n".join(said[-40:]))
    return done.stdout.decode().strip()


def labels(image: str) -> dict[str, str] | None:
    """The labels of an image that is here, or None."""
    try:
        shown = docker("image", "inspect", "--format", "{{json .Config.Labels}}", image)
    except DockerError:
        return None
    return json.loads(shown) or {}


def pull(image: str) -> bool:
    """Whether a registry gave the image.

    The limit is for the answer alone: once layers come, they may take their time.
    """
    with subprocess.Popen(
        ["docker", "pull", image], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as pulling:
        try:
            return pulling.wait(PULL_TIMEOUT_S) == 0
        except subprocess.TimeoutExpired:
            # It writes its first lines once the registry has answered.
            pulling.terminate()
            output, _ = pulling.communicate()
        if b"Pulling from" not in output:
            return False
    return subprocess.run(["docker", "pull", "--quiet", image], check=False).returncode == 0


def build(image: str, folder: Path, recipe: str) -> None:
    """Build an image from a folder with a Dockerfile, labelled with its recipe."""
    label = f"{RECIPE_LABEL}={recipe}"
    docker("build", "--tag", image, "--label", label, str(folder))

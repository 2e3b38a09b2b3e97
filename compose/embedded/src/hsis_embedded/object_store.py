"""The embedded object store: `rclone serve s3` over a folder, on loopback with generated keys."""

import os
import shutil
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

UNFINISHED = (".rclone_temp_", ".rclone_multipart_upload_")
"""How the names of unfinished objects begin, which a killed store leaves behind: never visible,
never finished."""


@dataclass(frozen=True, slots=True)
class ObjectStore:
    """An S3 server on 127.0.0.1:`port` whose buckets are the folders in `folder`."""

    folder: Path
    port: int
    access_key: str
    secret_key: str

    @property
    def endpoint_url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def initialise(self) -> None:
        """Make the folder."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def remove_unfinished(self, before_s: float) -> None:
        """Remove what an interrupted store left unfinished, last changed before that time (Unix).

        It looks at every object, so let a thread do it. What cannot be removed stays until the next
        start; it is not visible.
        """
        for folder, folders, files in os.walk(self.folder):
            for name in (*folders, *files):
                leftover = Path(folder, name)
                with suppress(OSError):
                    if not name.startswith(UNFINISHED) or leftover.stat().st_mtime >= before_s:
                        continue
                    if leftover.is_dir():
                        shutil.rmtree(leftover)
                    else:
                        leftover.unlink()

    def command(self) -> list[str]:
        """The command that serves the folder in the foreground."""
        return [
            program("rclone"),
            "serve",
            "s3",
            f"--addr=127.0.0.1:{self.port}",
            "--vfs-cache-mode=off",
            "--vfs-read-wait=0s",
            # Else every read of a range, however small, reads 16 MiB ahead.
            "--buffer-size=0",
            # Else the first look at an object reads all of it, and a listing all of every one.
            "--etag-hash=",
            "--dir-perms=0700",
            "--file-perms=0600",
            str(self.folder),
        ]

    def environment(self) -> dict[str, str]:
        """The variables of the command; the keys are not on its command line."""
        return {
            "RCLONE_AUTH_KEY": f'"{self.access_key},{self.secret_key}"',  # a list in CSV form
            "RCLONE_CONFIG": "/dev/null",
            "RCLONE_LOG_LEVEL": "NOTICE",
        }


def program(name: str) -> str:
    """A program that a wheel installed beside this Python."""
    return str(Path(sys.executable).parent / name)

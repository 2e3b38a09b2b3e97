"""The embedded default started as its user starts it: a process of its own."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from hsis_embedded.readiness import free_port

START_TIMEOUT_S = 300
ADMIN_PASSWORD = "password-of-the-end-to-end-tests"
QUICK_PASSWORDS = {"HSIS_PASSWORD_MEMORY_KIB": "32", "HSIS_PASSWORD_PASSES": "1"}


@dataclass
class Embedded:
    """An installation in `home`, started and stopped like `make run`."""

    home: Path
    port: int
    process: subprocess.Popen[str] | None = None
    admin_password: str = ADMIN_PASSWORD
    start_s: float = 0.0

    @classmethod
    def at(cls, home: Path) -> Self:
        """An installation that is not started yet, on a port of its own."""
        return cls(home, free_port())

    @property
    def url(self) -> str:
        """Its one origin."""
        return f"http://127.0.0.1:{self.port}"

    def start(self, *arguments: str, **settings: str) -> list[str]:
        """Start it and wait for its line that it is ready; the lines printed until then."""
        environment = {**os.environ, "HSIS_HOME": str(self.home), "HSIS_PORT": str(self.port)}
        environment |= {"HSIS_ADMIN_PASSWORD": self.admin_password} | QUICK_PASSWORDS | settings
        environment = {name: value for name, value in environment.items() if value}
        began = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hsis_embedded", *arguments],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        lines: list[str] = []
        for line in self.process.stdout:
            lines.append(line.rstrip("\n"))
            if line.startswith("HSIS is ready: "):
                self.start_s = time.monotonic() - began
                return lines
            if time.monotonic() - began > START_TIMEOUT_S:
                break
        self.stop()
        raise RuntimeError("HSIS did not start: " + "\n".join([*lines, self.logs()]))

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Stop it and wait; the exit status."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(180)
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.process = None
        return status

    def logs(self) -> str:
        """The end of each process's log."""
        return "\n".join(
            f"--- {log.name}\n{log.read_text(errors='replace')[-3000:]}"
            for log in sorted((self.home / "logs").glob("*.log"))
        )

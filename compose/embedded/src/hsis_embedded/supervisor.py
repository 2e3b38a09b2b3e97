"""Starting processes one after the other as each gets ready, and ending all of them together.

mirakuru starts, watches and stops each process; each one's death signal makes it end with the
supervisor even when that is killed.
"""

import asyncio
import atexit
import contextlib
import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import IO, Self

from mirakuru.base import ENV_UUID, SimpleExecutor, cleanup_subprocesses
from mirakuru.exceptions import ProcessFinishedWithError

# At its exit mirakuru would kill whatever has this process's number anywhere in the mark that it
# gives its children, another installation's random mark included. The death signal does that work.
atexit.unregister(cleanup_subprocesses)

POLL_S = 0.05
Ready = Callable[[], Awaitable[bool]]


CHILD_OF = 'test "$PPID" = "$0" && unset PWD && exec "$@"'
"""A shell's program: run the arguments where the parent is the process of that number. PWD is the
shell's own addition to the environment."""


class StartFailed(RuntimeError):
    """A process ended or did not get ready in time; the message names its log."""


class _Executor(SimpleExecutor):
    """mirakuru's, without what it adds: this process's own environment."""

    @property
    def envvars(self) -> dict[str, str]:
        """What was given, and mirakuru's mark."""
        given = {*self._envvars, ENV_UUID}
        return {name: value for name, value in super().envvars.items() if name in given}


@dataclass(frozen=True, slots=True)
class Program:
    """A process to be started: its command, its whole environment, when it is ready."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    ready: Ready
    stop_signal: signal.Signals = signal.SIGTERM


def dying_with(parent: int, command: Sequence[str], stop_signal: signal.Signals) -> list[str]:
    """The command as one that gets the signal when its parent dies, however that dies. It does not
    begin where the parent had died before the signal was asked for: nobody would send it."""
    options: list[str] = []
    if command[0] == "setpriv":  # one such program does all: another user clears the signal
        options = list(takewhile(lambda word: word.startswith("--"), command[1:]))
        command = command[1 + len(options) :]
    death = ["setpriv", f"--pdeathsig={stop_signal.name.removeprefix('SIG')}", *options]
    return [*death, "/bin/sh", "-c", CHILD_OF, str(parent), *command]


@dataclass
class Supervisor:
    """The processes of one installation. Logs go to `log_folder/<name>.log`."""

    log_folder: Path
    start_timeout_s: float = 180.0
    stop_timeout_s: float = 15.0
    _running: dict[str, SimpleExecutor] = field(default_factory=dict)
    _logs: list[IO[bytes]] = field(default_factory=list)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def start(self, *programs: Program) -> None:
        """Start these at once and return when all are ready; StartFailed when one is not."""
        for program in programs:
            self._launch(program)
        await asyncio.gather(*(self._wait_ready(program) for program in programs))

    def pid(self, name: str) -> int:
        """The process id of a running program."""
        process = self._running[name].process
        assert process is not None
        return int(process.pid)

    async def first_death(self) -> str:
        """Wait until any process ends; its name."""
        while True:
            for name, executor in self._running.items():
                if not executor.running():
                    return name
            await asyncio.sleep(POLL_S * 4)

    def stop(self) -> None:
        """End every process, those started last first, and wait for it."""
        for executor in reversed(self._running.values()):
            with contextlib.suppress(ProcessFinishedWithError):
                executor.stop()
        self._running.clear()
        for log in self._logs:
            log.close()
        self._logs.clear()

    def _launch(self, program: Program) -> None:
        log = (self.log_folder / f"{program.name}.log").open("ab")
        self._logs.append(log)
        executor = _Executor(
            dying_with(os.getpid(), program.command, program.stop_signal),
            cwd="/",
            timeout=self.stop_timeout_s,
            sleep=POLL_S,
            stop_signal=program.stop_signal,
            envvars=dict(program.environment),
            stdin=None,
            stdout=log,
            stderr=log,
        )
        self._running[program.name] = executor.start()

    async def _wait_ready(self, program: Program) -> None:
        log = self.log_folder / f"{program.name}.log"
        deadline = time.monotonic() + self.start_timeout_s
        while time.monotonic() < deadline:
            if not self._running[program.name].running():
                raise StartFailed(f"{program.name} ended while starting; its log is {log}")
            if await program.ready():
                return
            await asyncio.sleep(POLL_S)
        raise StartFailed(
            f"{program.name} was not ready in {self.start_timeout_s:.0f} s; its log is {log}"
        )

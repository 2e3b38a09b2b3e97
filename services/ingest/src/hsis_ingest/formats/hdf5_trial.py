"""The processes in which HDF5 files are tried (see `hdf5_check`): a template that has the library
imported, and a child of it for each file."""

import json
import os
import resource
import select
import signal
import socket
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from hsis.errors import DomainError
from hsis_ingest.formats.hdf5_check import LENGTH, OUT_OF_MEMORY, REQUEST
from hsis_ingest.formats.hdf5_file import Hdf5File
from hsis_ingest.formats.hdf5_layouts import read_hdf5
from hsis_ingest.formats.source import ReadOptions, Span

FAILED = 1


@dataclass(frozen=True, slots=True)
class _Running:
    """A trial that goes on: its process, and the pipe that is to get its exit status."""

    pid: int
    status: int

    def finish(self) -> None:
        """Tell its exit status, once it ends."""
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        with suppress(BrokenPipeError), os.fdopen(self.status, "wb") as pipe:
            pipe.write(LENGTH.pack(code))


def serve(control: socket.socket) -> None:
    """Fork a child for each trial that comes, until the service hangs up or is gone: then end those
    that go on. With a trial come its socket and the pipe that is to get its exit status."""
    running: dict[int, _Running] = {}  # by a pipe that ends when the child does
    while True:
        ready, _, _ = select.select([control.fileno(), *running], [], [])
        for ended in running.keys() & set(ready):
            os.close(ended)
            running.pop(ended).finish()
        if control.fileno() in ready:
            passed = socket.recv_fds(control, 1, 2)[1]
            if not passed:
                break
            life, trial = _begin(control, running, *passed)
            running[life] = trial
    for trial in running.values():
        os.kill(trial.pid, signal.SIGKILL)


def _begin(
    control: socket.socket, running: dict[int, _Running], trial: int, status: int
) -> tuple[int, _Running]:
    """Fork the child of a trial; with it comes a pipe that ends when it does."""
    life, held = os.pipe()
    pid = os.fork()
    if pid == 0:
        control.close()
        for other in (life, status, *running, *(one.status for one in running.values())):
            os.close(other)
        _end_with_trial(trial)
    os.close(held)
    os.close(trial)
    return life, _Running(pid, status)


def _end_with_trial(trial: int) -> None:
    """Try the file behind the socket; never comes back."""
    status = FAILED
    try:
        status = try_file(ParentSource(socket.socket(fileno=trial)))
    finally:
        # Without the interpreter's own end: h5py does not survive it with a file open, and that
        # would be taken for the file's fault.
        os._exit(status)


class ParentSource:
    """The file as the child reads it. The child ends where nobody answers any more."""

    def __init__(self, trial: socket.socket) -> None:
        self._trial = trial
        self._answers = trial.makefile("rb")
        self.arguments = json.loads(self._answer())
        self.name: str = self.arguments["name"]
        self.size: int = self.arguments["size"]

    def read_at(self, offset: int, length: int) -> bytes:
        """`length` bytes from `offset`, fewer at the end of the file."""
        self._say(REQUEST.pack(offset, length))
        return self._answer()

    def read_ahead(self, spans: Iterable[Span]) -> Iterator[bytes]:
        """The bytes of each span in turn."""
        return (self.read_at(*span) for span in spans)

    def report(self, error: DomainError) -> None:
        """Tell what is wrong with the file."""
        report = json.dumps({"error": type(error).__name__, "detail": error.detail}).encode()
        self._say(REQUEST.pack(-1, len(report)) + report)

    def _say(self, words: bytes) -> None:
        # The library swallows what is raised where it calls back.
        try:
            self._trial.sendall(words)
        except OSError:
            os._exit(FAILED)

    def _answer(self) -> bytes:
        try:
            (size,) = LENGTH.unpack(self._answers.read(LENGTH.size).ljust(LENGTH.size, b"\xff"))
            content = self._answers.read(size) if size >= 0 else b""
        except OSError:
            size, content = -1, b""
        if len(content) != size:
            os._exit(FAILED)
        return content


def try_file(source: ParentSource) -> int:
    """Open the file, and walk through the index of each array's chunks; the exit status."""
    options = ReadOptions(**source.arguments["options"])
    cpu_s, memory = int(options.hdf5_check_cpu_s or 1), options.hdf5_check_memory_bytes
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        file = Hdf5File(source, options)
        read_hdf5(file, options, matlab=source.arguments["matlab"])
        with file.guarded():
            for dataset in file.opened:
                if dataset.chunks:
                    dataset.id.chunk_iter(lambda _: None)
    except DomainError as error:
        source.report(error)
    except MemoryError:
        return OUT_OF_MEMORY
    return 0


if __name__ == "__main__":
    # A KeyboardInterrupt could be swallowed where the library calls back.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    serve(socket.socket(fileno=0))

"""Opens an HDF5 file in a process of its own first, to see whether the library survives it.

The library is C code for files that are well: some damaged ones send it round for ever or beyond
its memory, with Python's lock held, and then the whole service stands still. The child has limits
to its processor time and memory, and is forked from a template (`hdf5_trial`) that has imported the
library once. It reads through this process, over a socket: it asks for an offset and a length, and
gets the length that there is, and the bytes. A negative offset announces instead, in so many bytes
of JSON, what is wrong with the file.
"""

import atexit
import dataclasses
import json
import os
import signal
import socket
import struct
import subprocess
import sys
from contextlib import suppress
from threading import Lock
from typing import IO

import hsis.errors
import hsis_ingest.errors
from hsis.errors import DomainError
from hsis_ingest.errors import TruncatedFile
from hsis_ingest.formats.source import ByteSource, ReadOptions

REQUEST = struct.Struct("<qq")
LENGTH = struct.Struct("<q")
MAX_REPORT_BYTES = 1024 * 1024
OUT_OF_MEMORY = 3
ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH")
FATAL = {
    signal.SIGXCPU,
    signal.SIGSEGV,
    signal.SIGABRT,
    signal.SIGBUS,
    signal.SIGFPE,
    signal.SIGILL,
}
"""Signals that the file is to blame for; others come from outside."""
END_S = 5.0


class Template:
    """The process that trials are forked from. It is started with the first one, anew where it was
    ended, and ends when this process does, however that comes about. Safe with threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._control: socket.socket | None = None
        self.process: subprocess.Popen[bytes] | None = None

    def fork(self, trial: socket.socket, status: int) -> None:
        """Begin a trial at the other end of the socket; its exit status comes through a pipe, whose
        end is closed without one where the template ends before."""
        with self._lock:
            if self._control is not None:
                with suppress(BrokenPipeError):
                    socket.send_fds(self._control, [b"\0"], [trial.fileno(), status])
                    return
                self._end()
            socket.send_fds(self._start(), [b"\0"], [trial.fileno(), status])

    def end(self) -> None:
        """End it, with the trials that go on."""
        with self._lock:
            self._end()

    def _start(self) -> socket.socket:
        self._control, theirs = socket.socketpair()
        # Nothing of the service's own environment, which may hold its secrets.
        kept = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "hsis_ingest.formats.hdf5_trial"],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=kept | {"OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
                start_new_session=True,  # a Ctrl-C for the service is no verdict on the file
            )
        atexit.register(self.end)
        return self._control

    def _end(self) -> None:
        if self._control is None or self.process is None:
            return
        self._control.close()  # tells it to end
        try:
            self.process.wait(END_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._control = None
        atexit.unregister(self.end)


template = Template()


def try_opening(data: ByteSource, options: ReadOptions, *, matlab: bool) -> None:
    """Raise what is wrong with the file, TruncatedFile where the library does not come through it
    within its limits; errors of the store; RuntimeError where the trial itself did not work."""
    arguments = {
        "name": data.name,
        "size": data.size,
        "matlab": matlab,
        "options": dataclasses.asdict(options),
    }
    ours, theirs = socket.socketpair()
    reader, writer = os.pipe()
    with ours, ours.makefile("rb") as asked, os.fdopen(reader, "rb") as ended:
        with theirs, os.fdopen(writer, "wb"):
            template.fork(theirs, writer)
        _answer(ours, json.dumps(arguments).encode())
        _serve(data, asked, ours)
        status = ended.read(LENGTH.size)
    if not status:
        raise RuntimeError(f"the process that tries HDF5 files ended before {data.name} was tried")
    (code,) = LENGTH.unpack(status)
    if code == OUT_OF_MEMORY or -code in FATAL:
        raise TruncatedFile(
            f"{data.name} is damaged: the HDF5 library does not come to an end with it "
            "(settings hdf5_check_cpu_s, hdf5_check_memory_bytes)."
        )
    if code != 0:
        raise RuntimeError(f"the trial of {data.name} ended with status {code}")


def _serve(data: ByteSource, asked: IO[bytes], trial: socket.socket) -> None:
    """Answer the child's reads until it ends; raise the error that it reports."""
    while len(request := _read(asked, REQUEST.size)) == REQUEST.size:
        offset, length = REQUEST.unpack(request)
        if offset < 0:
            raise _reported(_read(asked, min(length, MAX_REPORT_BYTES)))
        _answer(trial, data.read_at(offset, length))


def _read(asked: IO[bytes], length: int) -> bytes:
    """What the child says, less than `length` where it ends."""
    try:
        return asked.read(length)
    except ConnectionResetError:  # it ended without reading the last answer
        return b""


def _answer(trial: socket.socket, content: bytes) -> None:
    with suppress(BrokenPipeError, ConnectionResetError):
        trial.sendall(LENGTH.pack(len(content)) + content)


def _reported(report: bytes) -> Exception:
    """The domain error of a child's report."""
    said = json.loads(report)
    for module in (hsis_ingest.errors, hsis.errors):
        kind = getattr(module, said["error"], None)
        if isinstance(kind, type) and issubclass(kind, DomainError):
            return kind(said["detail"])
    return RuntimeError(f"the trial reports {said['error']}")

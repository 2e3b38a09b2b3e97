"""Opens an HDF5 file in a process of its own first, to see whether the library survives it.

The library is C code for files that are well: some damaged ones send it round for ever or beyond
its memory, with Python's lock held, and then the whole service stands still. The child has limits
to its processor time and memory. It reads through its parent: on its standard output it asks for an
offset and a length, on its standard input it gets the length that there is, and the bytes. A
negative offset announces instead, in so many bytes of JSON, what is wrong with the file.
"""

import dataclasses
import json
import os
import resource
import signal
import struct
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import IO, Any

import hsis.errors
import hsis_ingest.errors
from hsis.errors import DomainError
from hsis_ingest.errors import TruncatedFile
from hsis_ingest.formats.source import ByteSource, ReadOptions, Span

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


def try_opening(data: ByteSource, options: ReadOptions, *, matlab: bool) -> None:
    """Raise what is wrong with the file, TruncatedFile where the library does not come through it
    within its limits; errors of the store; RuntimeError where the trial itself did not work."""
    arguments = {
        "name": data.name,
        "size": data.size,
        "matlab": matlab,
        "options": dataclasses.asdict(options),
    }
    # Nothing of the service's own environment, which may hold its secrets.
    kept = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
    child = subprocess.Popen(
        [sys.executable, "-m", __name__, json.dumps(arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=kept | {"OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        start_new_session=True,  # a Ctrl-C for the service is no verdict on the file
    )
    if child.stdin is None or child.stdout is None:
        raise RuntimeError("the child has no pipes")
    try:
        _serve(data, child.stdout, child.stdin)
        status = child.wait()
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
        with suppress(BrokenPipeError):
            child.stdin.close()
    if status == OUT_OF_MEMORY or -status in FATAL:
        raise TruncatedFile(
            f"{data.name} is damaged: the HDF5 library does not come to an end with it "
            "(settings hdf5_check_cpu_s, hdf5_check_memory_bytes)."
        )
    if status != 0:
        raise RuntimeError(f"the trial of {data.name} ended with status {status}")


def _serve(data: ByteSource, asked: IO[bytes], answers: IO[bytes]) -> None:
    """Answer the child's reads until it ends; raise the error that it reports."""
    while len(request := asked.read(REQUEST.size)) == REQUEST.size:
        offset, length = REQUEST.unpack(request)
        if offset < 0:
            raise _reported(asked.read(min(length, MAX_REPORT_BYTES)))
        content = data.read_at(offset, length)
        with suppress(BrokenPipeError):
            answers.write(LENGTH.pack(len(content)) + content)
            answers.flush()


def _reported(report: bytes) -> Exception:
    """The domain error of a child's report."""
    said = json.loads(report)
    for module in (hsis_ingest.errors, hsis.errors):
        kind = getattr(module, said["error"], None)
        if isinstance(kind, type) and issubclass(kind, DomainError):
            return kind(said["detail"])
    return RuntimeError(f"the trial reports {said['error']}")


class ParentSource:
    """The file as the child reads it."""

    def __init__(self, name: str, size: int, asked: IO[bytes], answers: IO[bytes]) -> None:
        self.name = name
        self.size = size
        self._asked = asked
        self._answers = answers

    def read_at(self, offset: int, length: int) -> bytes:
        """`length` bytes from `offset`, fewer at the end of the file."""
        self._asked.write(REQUEST.pack(offset, length))
        self._asked.flush()
        (size,) = LENGTH.unpack(self._answers.read(LENGTH.size))
        return self._answers.read(size)

    def read_ahead(self, spans: Iterable[Span]) -> Iterator[bytes]:
        """The bytes of each span in turn."""
        return (self.read_at(*span) for span in spans)


def main(arguments: dict[str, Any]) -> int:
    """Open the file, and walk through the index of each array's chunks; the exit status."""
    # Here, since the readers import this module.
    from hsis_ingest.formats.hdf5_file import Hdf5File
    from hsis_ingest.formats.hdf5_layouts import read_hdf5

    # A KeyboardInterrupt could be swallowed where the library calls back.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    options = ReadOptions(**arguments["options"])
    cpu_s, memory = int(options.hdf5_check_cpu_s or 1), options.hdf5_check_memory_bytes
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    asked = sys.stdout.buffer
    source = ParentSource(arguments["name"], arguments["size"], asked, sys.stdin.buffer)
    try:
        file = Hdf5File(source, options)
        read_hdf5(file, options, matlab=arguments["matlab"])
        with file.guarded():
            for dataset in file.opened:
                if dataset.chunks:
                    dataset.id.chunk_iter(lambda _: None)
    except DomainError as error:
        report = json.dumps({"error": type(error).__name__, "detail": error.detail}).encode()
        asked.write(REQUEST.pack(-1, len(report)) + report)
        asked.flush()
    except MemoryError:
        return OUT_OF_MEMORY
    return 0


if __name__ == "__main__":
    # Without the interpreter's own end: h5py does not survive it with a file open, and that would
    # be taken for the file's fault.
    os._exit(main(json.loads(sys.argv[1])))

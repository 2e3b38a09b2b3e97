"""Whether the HDF5 library comes to an end with a file: tried in a process of its own.

The library is C code for files that are well: some damaged ones send it round for ever or beyond
its memory, with Python's lock held, and then the whole service stands still. A child process opens
the file first, with limits to its processor time and memory. It reads through its parent: on its
standard output it asks for an offset and a length, on its standard input it gets the length that
there is, and the bytes.
"""

import dataclasses
import json
import os
import resource
import struct
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import IO, Any

from hsis.errors import DomainError
from hsis_ingest.errors import TruncatedFile
from hsis_ingest.formats.source import ByteSource, ReadOptions, Span

REQUEST = struct.Struct("<qq")
LENGTH = struct.Struct("<q")
OUT_OF_MEMORY = 3
ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH")


def check_ends(data: ByteSource, options: ReadOptions, *, matlab: bool) -> None:
    """TruncatedFile where the library does not come through the file within its limits.

    What else is wrong with the file is not said here; the errors of the store are raised.
    """
    arguments = {
        "name": data.name,
        "size": data.size,
        "matlab": matlab,
        "options": dataclasses.asdict(options),
    }
    command = [sys.executable, "-m", __name__, json.dumps(arguments)]
    # Nothing of the service's own environment, which may hold its secrets.
    kept = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
    environment = kept | {"OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
    ) as child:
        try:
            _serve(child, data)
        finally:
            child.kill()
    if child.returncode < 0 or child.returncode == OUT_OF_MEMORY:
        raise TruncatedFile(
            f"{data.name} is damaged: the HDF5 library does not come to an end with it "
            f"(settings hdf5_check_cpu_s, hdf5_check_memory_bytes)."
        )


def _serve(child: "subprocess.Popen[bytes]", data: ByteSource) -> None:
    """Answer the child's reads until it ends."""
    asked, answers = child.stdout, child.stdin
    if asked is None or answers is None:
        raise ValueError("the child has no pipes")
    while len(request := asked.read(REQUEST.size)) == REQUEST.size:
        content = data.read_at(*REQUEST.unpack(request))
        with suppress(BrokenPipeError):
            answers.write(LENGTH.pack(len(content)) + content)
            answers.flush()
    child.wait()


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
    from hsis_ingest.formats.hdf5_file import Hdf5File
    from hsis_ingest.formats.hdf5_layouts import read_hdf5

    options = ReadOptions(**arguments["options"])
    cpu_s, memory = int(options.hdf5_check_cpu_s or 1), options.hdf5_check_memory_bytes
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    source = ParentSource(arguments["name"], arguments["size"], sys.stdout.buffer, sys.stdin.buffer)
    try:
        with suppress(DomainError):
            file = Hdf5File(source, options)
            read_hdf5(file, options, matlab=arguments["matlab"])
            for dataset in file.opened:
                if dataset.chunks:
                    dataset.id.chunk_iter(lambda _: None)
    except MemoryError:
        return OUT_OF_MEMORY
    return 0


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))

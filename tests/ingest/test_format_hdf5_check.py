"""HDF5 files that the library never comes to an end with are found out in a child process."""

import json
import os
import signal
import socket
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from hsis.errors import InvalidInput
from hsis_ingest.errors import TruncatedFile
from hsis_ingest.formats import hdf5_layouts
from hsis_ingest.formats.hdf5_check import LENGTH, Template, template
from hsis_ingest.formats.source import ReadOptions
from tests.ingest.files import MemoryFile, opened, whole
from tests.ingest.hdf5_files import h5

VALUES = np.arange(6 * 20 * 20, dtype=np.int16).reshape(6, 20, 20)


def write(file):
    dataset = file.create_dataset("cube", data=VALUES, chunks=(2, 8, 8), compression="gzip")
    for number, name in enumerate(("wavelength", "y", "x")):
        file[name] = np.arange(VALUES.shape[number]) + 400.0
        file[name].make_scale(name)
        dataset.dims[number].attach_scale(file[name])
    dataset.attrs["units"] = "x"


def endless():
    """An object of the heap of variable lengths with size 0: the library reads it for ever."""
    content = bytearray(h5(write).content)
    place = content.index(b"GCOL") + 16
    while True:
        index, _, size = struct.unpack("<HH4xQ", content[place : place + 16])
        assert index, "no object of one byte"
        if size == 1:
            content[place + 8 : place + 16] = bytes(8)
            return bytes(content)
        place += 16 + (size + 7) // 8 * 8


def test_the_library_really_never_ends(tmp_path):
    (tmp_path / "endless.h5").write_bytes(endless())
    read = f"import h5py; h5py.File({str(tmp_path / 'endless.h5')!r})['cube'].attrs['units']"
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run([sys.executable, "-c", read], timeout=1.5, check=False)


def test_such_a_file_is_refused():
    with pytest.raises(TruncatedFile, match=r"endless.h5 .*does not come to an end"):
        opened([MemoryFile("endless.h5", endless())], hdf5_check_cpu_s=1)


def test_a_sound_file_is_read():
    source = opened([h5(write)], hdf5_check_cpu_s=20)
    np.testing.assert_array_equal(whole(source), VALUES)
    assert source.info.wavelengths_nm == pytest.approx(400 + np.arange(6))


def test_errors_of_the_file_are_the_childs(monkeypatch):
    def never(*_, **__):
        raise AssertionError("the file is opened in this process")

    monkeypatch.setattr(hdf5_layouts, "Hdf5File", never)
    with pytest.raises(TruncatedFile, match=r"cut.h5 is damaged or truncated"):
        opened([MemoryFile("cut.h5", h5(write).content[:-99])], hdf5_check_cpu_s=20)
    with pytest.raises(InvalidInput, match="axes = yx"):
        opened([h5(write)], hdf5_check_cpu_s=20, axes="yx")


def test_an_error_of_the_store_is_told_as_it_is():
    file = h5(write)
    reads = file.read_at

    def away(offset, length):
        if offset > 1000:
            raise ConnectionError("away")
        return reads(offset, length)

    file.read_at = away
    with pytest.raises(ConnectionError, match="away"):
        opened([file], hdf5_check_cpu_s=20)


@pytest.mark.parametrize("name", ["SIGINT", "SIGKILL"])
def test_a_child_that_is_ended_from_outside_says_nothing_of_the_file(name):
    file = h5(write)
    reads = file.read_at

    def ending(offset, length):
        for child in children(template.process.pid):
            os.kill(child, getattr(signal, name))
        return reads(offset, length)

    file.read_at = lambda offset, length: (ending if offset else reads)(offset, length)
    with pytest.raises(RuntimeError, match=r"trial of cube\.h5 ended with status -"):
        opened([file], hdf5_check_cpu_s=20)


def test_trials_go_on_beside_one_that_never_ends():
    with ThreadPoolExecutor(3) as threads:
        file = MemoryFile("endless.h5", endless())
        refused = threads.submit(opened, [file], hdf5_check_cpu_s=600)
        sound = [threads.submit(opened, [h5(write)], hdf5_check_cpu_s=20) for _ in range(6)]
        shapes = [source.result().info.shape for source in sound]
        assert not refused.done()
        for left in children(template.process.pid):
            os.kill(left, signal.SIGXCPU)  # as the kernel does at the limit
        with pytest.raises(TruncatedFile):
            refused.result()
    assert shapes == [VALUES.shape] * 6


def test_a_template_that_was_ended_is_started_anew():
    opened([h5(write)], hdf5_check_cpu_s=20)
    before = template.process
    before.kill()
    before.wait()
    opened([h5(write)], hdf5_check_cpu_s=20)
    assert template.process.pid != before.pid


def test_the_template_has_no_secrets_and_ends_its_children_with_itself(monkeypatch):
    monkeypatch.setenv("HSIS_SERVICE_SECRET", "secret")
    own = Template()
    ours, theirs = socket.socketpair()
    reader, writer = os.pipe()
    with ours, os.fdopen(reader, "rb") as status:
        with theirs, os.fdopen(writer, "wb"):
            own.fork(theirs, writer)
        arguments = json.dumps(
            {"name": "a.h5", "size": 99, "matlab": False, "options": asdict(ReadOptions())}
        ).encode()
        ours.sendall(LENGTH.pack(len(arguments)) + arguments)
        assert ours.recv(1)  # the child asks for bytes, and waits for them
        environment = Path(f"/proc/{own.process.pid}/environ").read_bytes()
        own.end()  # it closes the socket, as the kernel does where the service is killed
        while ours.recv(99):
            pass
        assert status.read() == b""
    assert own.process.returncode == 0
    assert b"PYTHONPATH=" in environment
    assert b"HSIS_" not in environment


def children(pid):
    """The processes that a process has forked and that are there still."""
    return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))

"""HDF5 files that the library never comes to an end with are found out in a child process."""

import signal
import struct
import subprocess
import sys

import numpy as np
import pytest

from hsis.errors import InvalidInput
from hsis_ingest.errors import TruncatedFile
from hsis_ingest.formats import hdf5_layouts
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
def test_a_child_that_is_ended_from_outside_says_nothing_of_the_file(monkeypatch, name):
    file = h5(write)
    reads, start, children = file.read_at, subprocess.Popen, []

    def noted(command, **options):
        children.append(start(command, **options))
        return children[0]

    def ending(offset, length):
        if children:
            children[0].send_signal(getattr(signal, name))
            children[0].wait()
        return reads(offset, length)

    monkeypatch.setattr(subprocess, "Popen", noted)
    file.read_at = ending
    with pytest.raises(RuntimeError, match=r"trial of cube\.h5 ended with status"):
        opened([file], hdf5_check_cpu_s=20)


def test_the_childs_environment_has_no_secrets(monkeypatch):
    monkeypatch.setenv("HSIS_SERVICE_SECRET", "secret")
    seen = []
    start = subprocess.Popen

    def noted(command, **options):
        seen.append(options["env"])
        return start(command, **options)

    monkeypatch.setattr(subprocess, "Popen", noted)
    opened([h5(lambda f: f.create_dataset("cube", data=VALUES))], hdf5_check_cpu_s=20)
    assert not [name for name in seen[0] if name.startswith("HSIS_")]

"""HDF5 files that lead elsewhere, go in circles, lie about sizes or are damaged."""

import zlib
from contextlib import suppress

import h5py
import numpy as np
import pytest

from hsis_ingest.errors import (
    DecompressionBomb,
    ExternalReference,
    InputFault,
    TruncatedFile,
    UnsupportedFormat,
)
from tests.ingest.files import MemoryFile, opened, whole
from tests.ingest.hdf5_files import h5

VALUES = np.random.default_rng(3).integers(0, 200, (7, 30, 21)).astype(np.int16)


def test_links_to_other_files_are_not_followed(tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["cube"] = VALUES

    def write(file):
        file["cube"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "/cube")
        file["folder"] = h5py.ExternalLink("/etc/passwd", "/")
        file["way"] = h5py.SoftLink("/folder/cube")

    with pytest.raises(ExternalReference, match=r"folder \(to /etc/passwd\)"):
        opened([h5(write)])
    for path in ("cube", "folder", "folder/cube", "way"):
        with pytest.raises(ExternalReference, match="is a link to the file"):
            opened([h5(write)], variable=path)


def test_values_in_other_files_are_not_read(tmp_path):
    (tmp_path / "raw").write_bytes(bytes(8 * 27))

    def external(file):
        file.create_dataset("cube", (3, 3, 3), "f8", external=[(str(tmp_path / "raw"), 0, 216)])

    def virtual(file):
        layout = h5py.VirtualLayout((3, 3, 3), "f8")
        layout[...] = h5py.VirtualSource(str(tmp_path / "other.h5"), "cube", (3, 3, 3))
        file.create_virtual_dataset("cube", layout)

    for write in (external, virtual):
        with pytest.raises(ExternalReference, match="values of /cube lie in other files"):
            opened([h5(write)])


def test_circles_are_walked_once():
    def write(file):
        group = file.create_group("a/b")
        group["back"] = file["a"]
        group["root"] = file["/"]
        group["cube"] = VALUES
        file["a/again"] = group["cube"]
        file["one"] = h5py.SoftLink("/two")
        file["two"] = h5py.SoftLink("one")
        file["nowhere"] = h5py.SoftLink("/missing")

    np.testing.assert_array_equal(whole(opened([h5(write)], axes="byx")), VALUES)
    with pytest.raises(UnsupportedFormat, match="circle"):
        opened([h5(write)], variable="one")


def test_too_many_objects():
    def write(file):
        for number in range(30):
            file.create_group(str(number))

    with pytest.raises(DecompressionBomb, match=r"more than 20 groups.*hdf5_max_objects"):
        opened([h5(write)], hdf5_max_objects=20)


@pytest.mark.parametrize("chunks", [None, (1, 1000, 1000)])
def test_sizes_that_nothing_stands_behind(chunks):
    file = h5(lambda f: f.create_dataset("cube", (10**6, 10**6, 10**3), "u1", chunks=chunks))
    with pytest.raises(DecompressionBomb, match=r"declares 1000000000000000 bytes.*max_expansion"):
        opened([file])


def test_a_chunk_larger_than_allowed():
    file = h5(
        lambda f: f.create_dataset(
            "cube", data=np.zeros((20, 300, 300), "u1"), chunks=(20, 300, 300), compression="gzip"
        )
    )
    with pytest.raises(DecompressionBomb, match=r"pieces of 1800000 bytes.*max_chunk_bytes"):
        opened([file], max_chunk_bytes=1024**2, max_expansion=10_000)


def with_chunk(content, mask=0, **layout):
    """A file with one chunk of these stored bytes."""

    def write(file):
        dataset = file.create_dataset("cube", (4, 8, 8), "u1", chunks=(4, 8, 8), **layout)
        dataset.id.write_direct_chunk((0, 0, 0), content, mask)

    return h5(write)


def test_a_chunk_that_inflates_too_far():
    bomb = zlib.compress(bytes(10_000_000), 9)
    assert len(bomb) > 9000
    with pytest.raises(DecompressionBomb, match="stored bytes for 256 bytes"):
        whole(opened([with_chunk(bomb, compression="gzip")]))
    small = zlib.compress(bytes(300_000), 9)
    with pytest.raises(DecompressionBomb, match="inflates to more than the 256 bytes"):
        whole(opened([with_chunk(small, compression="gzip")]))


@pytest.mark.parametrize("content", [zlib.compress(bytes(255)), zlib.compress(bytes(256))[:-9]])
def test_a_chunk_that_is_too_short(content):
    with pytest.raises(TruncatedFile, match="256 are right"):
        whole(opened([with_chunk(content, compression="gzip")]))


def test_damaged_chunks():
    with pytest.raises(TruncatedFile, match="damaged chunk"):
        whole(opened([with_chunk(b"\1" * 40, compression="gzip")]))
    with pytest.raises(TruncatedFile, match="damaged chunk"):
        whole(opened([with_chunk(bytes(256) + b"\1\2\3\4", fletcher32=True)]))


@pytest.mark.parametrize("compression", [None, "lzf"])
@pytest.mark.parametrize("content", [b"\1\2", b"\1\2\3\4"])
def test_a_chunk_no_longer_than_its_checksum(content, compression):
    """Found by fuzzing: the HDF5 library itself reads far behind such a chunk."""
    with pytest.raises(TruncatedFile, match=r"checksum|damaged|truncated"):
        whole(opened([with_chunk(content, fletcher32=True, compression=compression)]))


def test_a_filter_left_out_for_a_chunk_is_not_undone():
    content = bytes(range(256))
    source = opened([with_chunk(content, mask=1, compression="gzip")], axes="byx")
    assert whole(source).tobytes() == content


def test_unknown_filters_are_named():
    def write(file):
        file.create_dataset("cube", data=VALUES, chunks=(2, 8, 8), scaleoffset=0)

    with pytest.raises(UnsupportedFormat, match="filter scaleoffset"):
        opened([h5(write)])


def test_a_huge_attribute():
    def write(file):
        file["cube"] = VALUES
        file["cube"].attrs.create("units", np.zeros(5_000_000, "u1"), dtype="u1")

    with pytest.raises(DecompressionBomb, match="attribute units"):
        opened([h5(write, libver="latest")])


CONTENT = h5(
    lambda f: f.create_dataset("a/cube", data=VALUES, chunks=(2, 8, 8), compression="gzip")
).content


@pytest.mark.parametrize("kept", [8, 20, 96, 0.3, 0.9, 0.999])
def test_a_truncated_file(kept):
    size = int(kept * len(CONTENT)) if kept < 1 else kept
    with pytest.raises(TruncatedFile, match=r"cube.h5 is damaged or truncated"):
        opened([MemoryFile("cube.h5", CONTENT[:size])])


@pytest.mark.parametrize("seed", range(60))
def test_damaged_bytes_never_raise_anything_else(seed):
    rng = np.random.default_rng(seed)
    content = bytearray(CONTENT)
    for place in rng.integers(8, min(len(content), 4096), 12):
        content[place] = rng.integers(256)
    # Whatever the damage, it is read or named: any other exception fails the test.
    with suppress(InputFault):
        assert whole(opened([MemoryFile("cube.h5", bytes(content))])).ndim == 3


def test_an_error_of_the_store_is_not_taken_for_a_damaged_file():
    file = MemoryFile("cube.h5", CONTENT)
    source = opened([file], axes="byx")

    def away(offset, length):
        raise ConnectionError("away")

    file.read_at = away
    with pytest.raises(ConnectionError, match="away"):
        whole(source)
    with pytest.raises(ConnectionError, match="away"):
        opened([file])

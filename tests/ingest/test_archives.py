"""Archives: what is in them, and what may not be."""

import gzip
import io
import stat
import struct
import tarfile
import zipfile
from contextlib import suppress
from pathlib import PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hsis_ingest.archives.members import Limits
from hsis_ingest.archives.opening import open_archive
from hsis_ingest.errors import (
    ArchiveTooLarge,
    EncryptedArchive,
    InputFault,
    NestedArchive,
    TruncatedFile,
    UnsafeArchive,
    UnsupportedFormat,
)
from tests.ingest.files import MemoryFile

MIB = 1024**2
LIMITS = Limits(max_members=50, max_bytes=200 * MIB, max_ratio=100.0)
FILES = {
    "day 1/scan.hdr": b"ENVI\n",
    "day 1/scan.raw": bytes(range(256)) * 5000,
    "ü/" + "long-" * 40 + "name.npy": b"x" * 1000,
    "empty.mat": b"",
}


def zipped(files, **more) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content, **more)
    return buffer.getvalue()


def tarred(files, mode="w", form=tarfile.PAX_FORMAT, **fields) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode, format=form) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for field, value in fields.items():
                setattr(info, field, value)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def opened(content: bytes, limits: Limits = LIMITS):
    return open_archive(MemoryFile("a.bin", content), limits)


def read(archive) -> dict[str, bytes]:
    wanted = frozenset(member.path for member in archive.members)
    found = {}
    for member, content in archive.contents(wanted):
        pieces = []
        while piece := content.read(100_000):
            assert len(piece) <= 100_000
            pieces.append(piece)
        found[str(member.path)] = b"".join(pieces)
    return found


ARCHIVES = {
    "zip": zipped(FILES),
    "tar": tarred(FILES),
    "gnu": tarred(FILES, form=tarfile.GNU_FORMAT),
    "tgz": tarred(FILES, "w:gz"),
}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_what_went_in_comes_out(kind: str):
    archive = opened(ARCHIVES[kind])
    assert {str(member.path): member.size for member in archive.members} == {
        name: len(content) for name, content in FILES.items()
    }
    assert read(archive) == FILES


@pytest.mark.parametrize("kind", ARCHIVES)
def test_only_what_is_wanted_is_given(kind: str):
    path = PurePosixPath("day 1/scan.raw")
    [(member, content)] = [
        (member, content.read(10)) for member, content in opened(ARCHIVES[kind]).contents({path})
    ]
    assert (member.path, content) == (path, bytes(range(10)))


@pytest.mark.parametrize(
    "content", [b"", b"ENVI\n", b"\x1f\x8b\x08 no gzip", gzip.compress(b"x", mtime=0)]
)
def test_other_files_are_no_archives(content: bytes):
    assert opened(content) is None


@pytest.mark.parametrize("name", ["zarr.json", "a/.zgroup", "cube.zarr/.zarray"])
def test_a_zipped_zarr_store_is_one_file(name: str):
    assert opened(zipped({name: b"{}", "../x": b""})) is None


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_tar_of_all_of_a_folder(mode: str):
    """As `tar -cf all.tar .` writes it: the folder itself is called `.`."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name in (".", "./day 1"):
            folder = tarfile.TarInfo(name)
            folder.type = tarfile.DIRTYPE
            archive.addfile(folder)
        file = tarfile.TarInfo("./day 1/a.npy")
        file.size = 3
        archive.addfile(file, io.BytesIO(b"abc"))
    found = opened(buffer.getvalue())
    assert found is not None
    assert [str(member.path) for member in found.members] == ["day 1/a.npy"]


def test_a_zip_with_its_own_folder():
    found = opened(zipped({"./": b"", "./a.npy": b"abc"}))
    assert found is not None
    assert [str(member.path) for member in found.members] == ["a.npy"]


def test_a_member_of_a_zip_without_a_name():
    """Found by fuzzing: zipfile looks at the last character of the name that is not there."""
    content = bytearray(zipped({"q": b"x"}))
    entry = content.rfind(b"PK\1\2")
    content[entry + 28 : entry + 32] = b"\0\0\1\0"  # no name, and its byte an extra field
    with pytest.raises(UnsafeArchive, match="a member called ''"):
        opened(bytes(content))


NAMES = ["../a.npy", "/etc/a.npy", "a/../../b.npy", "C:/a.npy", "a\\b.npy", "x" * 300, "a\nb.npy"]


@pytest.mark.parametrize("make", [zipped, tarred])
@pytest.mark.parametrize("name", NAMES)
def test_names_that_lead_out_of_it(make, name: str):
    with pytest.raises(UnsafeArchive):
        opened(make({"fine.npy": b"x", name: b"x"}))


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_in_tar(kind: bytes):
    with pytest.raises(UnsafeArchive):
        opened(tarred({"a.npy": b""}, type=kind, linkname="/etc/passwd"))


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_links_and_devices_in_zip(kind: int):
    info = zipfile.ZipInfo("a.npy")
    info.external_attr = (kind | 0o644) << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(UnsafeArchive, match="link"):
        opened(buffer.getvalue())


def test_two_of_a_name():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.npy", b"1")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a.npy", b"2")
    twice = tarred({"./a.npy": b"1"})[:1024] + tarred({"a.npy": b"2"})
    for content in (buffer.getvalue(), twice):
        with pytest.raises(UnsafeArchive, match="two members"):
            opened(content)


def test_encrypted():
    content = bytearray(zipped({"a.npy": b"secret"}))
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(EncryptedArchive):
        opened(bytes(content))


@pytest.mark.parametrize("make", [zipped, tarred])
def test_archives_in_archives(make):
    with pytest.raises(NestedArchive):
        opened(make({"inner.tar.gz": b""}))


@pytest.mark.parametrize("make", [zipped, tarred, lambda files: tarred(files, "w:gz")])
def test_too_much(make):
    with pytest.raises(ArchiveTooLarge, match="archive_max_members"):
        opened(make({f"{number}.npy": b"" for number in range(51)}))
    few = Limits(max_members=50, max_bytes=1000, max_ratio=100.0)
    with pytest.raises(ArchiveTooLarge, match="max_upload_bytes"):
        opened(make({"a.npy": b"x" * 600, "b.npy": b"x" * 600}), few)


@pytest.mark.parametrize("make", [zipped, lambda files: tarred(files, "w:gz")])
def test_a_bomb(make):
    content = make({"a.npy": bytes(17 * MIB)})
    assert len(content) < 17 * MIB / 100
    with pytest.raises(ArchiveTooLarge, match="archive_max_ratio"):
        opened(content)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_would_fill_the_memory(method: int):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr("a.npy", bytes(1000))
    with pytest.raises(UnsupportedFormat, match="deflate is right"):
        opened(buffer.getvalue())


def test_members_that_share_their_bytes():
    """As D. Fifield's zip bomb: many entries of the directory, one content."""
    content = zipped({"a.npy": b"x" * 5000})
    start = content.index(b"PK\x01\x02")
    end = content.index(b"PK\x05\x06")
    entry = content[start:end]
    other = entry.replace(b"a.npy", b"b.npy")
    tail = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 2, 2, len(entry) * 2, start, 0)
    with pytest.raises((UnsafeArchive, TruncatedFile)):
        opened(content[:start] + entry + other + tail)


def test_a_directory_that_is_too_long_is_not_read():
    content = zipped({"a.npy": b"x"})
    start = content.index(b"PK\x01\x02")
    body = content[:start] + bytes(3 * MIB)
    tail = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 9, 9, 3 * MIB, start, 0)
    with pytest.raises(ArchiveTooLarge, match="directory"):
        opened(body + tail)


def test_a_size_that_lies():
    content = bytearray(zipped({"a.npy": b"x" * 5000}))
    at = content.index(b"PK\x01\x02") + 24
    struct.pack_into("<I", content, at, 4000)
    with pytest.raises(TruncatedFile):
        read(opened(bytes(content)))
    struct.pack_into("<I", content, at, 6000)
    archive = opened(bytes(content))
    [member] = archive.members
    with suppress(TruncatedFile):
        assert len(read(archive)["a.npy"]) < member.size  # which is refused when it is stored


def test_an_extended_header_that_would_fill_the_memory():
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, 10 * 1024**3
    with pytest.raises(UnsafeArchive, match="extended header"):
        opened(info.tobuf(tarfile.GNU_FORMAT))


@pytest.mark.parametrize("kind", ARCHIVES)
def test_damage_is_told_and_nothing_else(kind: str):
    whole = ARCHIVES[kind]
    for end in range(600, len(whole) - 1, max(1, len(whole) // 23)):
        try:
            archive = opened(whole[:end])
            found = None if archive is None else read(archive)
        except (TruncatedFile, UnsafeArchive):
            continue
        # Blocks of zeros at the end of a tar may be missing.
        assert found is None or found.items() <= FILES.items()


SMALL = {"d/a.hdr": b"ENVI", "d/a.raw": bytes(range(200)), "n" * 120 + ".npy": b"y" * 600}
MADE = {
    "zip": zipped(SMALL),
    "tar": tarred(SMALL),
    "gnu": tarred(SMALL, form=tarfile.GNU_FORMAT),
    "tgz": tarred(SMALL, "w:gz"),
}


@settings(max_examples=400, deadline=None)
@given(
    kind=st.sampled_from(sorted(MADE)),
    edits=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=6),
    front=st.booleans(),
)
def test_bytes_that_are_others_raise_nothing_unforeseen(kind, edits, front):
    content = bytearray(MADE[kind])
    reach = min(len(content), 2600) if front else len(content)
    for place, value in edits:
        content[int(place * (reach - 1))] = value
    with suppress(InputFault):
        archive = opened(bytes(content))
        if archive is not None:
            read(archive)

"""What is fuzzed: what is done with an input, and inputs that are well to begin from."""

import io
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import h5py
import numpy as np
import scipy.io
import tifffile
import zarr

from hsis.cube.band_table import parse_band_table
from hsis.errors import DomainError
from hsis_ingest.archives.members import Limits
from hsis_ingest.archives.opening import open_archive
from hsis_ingest.bodies import Checksum
from hsis_ingest.detect import open_source
from hsis_ingest.formats.source import ReadOptions
from hsis_ingest.tus_headers import parse_metadata
from hsis_storage_proxy.ranges import parse_content_range, parse_ranges
from tests.ingest.files import MemoryFile, whole

CUBE = np.arange(6 * 9 * 7, dtype=np.int16).reshape(6, 9, 7)
HEADER = b"""ENVI
description = {a scene
 over two lines}
samples = 7
lines = 9
bands = 6
header offset = 0
file type = ENVI Standard
data type = 2
interleave = bsq
byte order = 0
wavelength units = Nanometers
wavelength = {400, 450,
 500, 550, 600, 650}
fwhm = {5, 5, 5, 5, 5, 5}
bbl = {1, 1, 1, 1, 1, 0}
band names = {a, b, c, d, e, f}
data ignore value = -9999
reflectance scale factor = 10000
map info = {UTM, 1, 1, 500000, 5000000, 30, 30, 33, North, WGS-84, rotation=12}
acquisition time = 2024-06-01T10:00:00Z
"""
CLASSES = b"""ENVI
samples = 42
lines = 18
bands = 1
file type = ENVI Classification
data type = 1
interleave = bsq
classes = 3
class names = {Unclassified, Corn, Wheat}
class lookup = {0,0,0, 255,0,0, 0,255,0}
"""
Files = list[MemoryFile]


@dataclass(frozen=True)
class Format:
    """`read` takes an input, `seeds` are some that are well."""

    read: Callable[[bytes], object]
    seeds: Callable[[], Sequence[bytes]]


MOST_VALUES = 1 << 22
MOST_BANDS = 4096
"""rasterio's time goes with the square of a TIFF's bands: 2 s for the 8192 that it may have."""
OPTIONS = ReadOptions(max_chunk_bytes=1 << 22, hdf5_check_cpu_s=None)
"""Small limits, so that what respects them stays fast."""


def _cube(files: Callable[[bytes], Files]) -> Callable[[bytes], None]:
    """Opens the files that are made of an input, and reads them whole."""

    def read(content: bytes) -> None:
        source = open_source(files(content), OPTIONS)
        try:
            small = np.prod(source.info.shape, dtype=float) <= MOST_VALUES
            if small and source.info.bands <= MOST_BANDS:
                whole(source)
        finally:
            source.close()

    return read


def _single(name: str) -> Callable[[bytes], None]:
    return _cube(lambda content: [MemoryFile(name, content)])


def _envi(content: bytes) -> Files:
    return [MemoryFile("a.hdr", b"ENVI\n" + content), MemoryFile("a.raw", CUBE.tobytes())]


def _npy() -> list[bytes]:
    arrays = [CUBE, np.asfortranarray(CUBE.astype(">f8")), CUBE.astype(np.complex64)[:2]]
    return [_saved(lambda file, array=array: np.save(file, array)) for array in arrays]


def _matlab() -> list[bytes]:
    values = {"cube": CUBE.astype(float), "nRow": 9, "wavelength": np.arange(7.0), "name": "text"}
    more = {"s": {"a": 1.0}, "z": CUBE[0] * 1j}
    return [
        _saved(lambda file, v=v, c=c: scipy.io.savemat(file, v, do_compression=c))
        for v in (values, values | more)
        for c in (False, True)
    ]


def _tiff() -> list[bytes]:
    ways: list[dict[str, object]] = [
        {"photometric": "minisblack"},
        {"photometric": "minisblack", "compression": "zlib", "rowsperstrip": 4},
        {"photometric": "minisblack", "planarconfig": "separate", "tile": (16, 16)},
        {"imagej": True, "metadata": {"Labels": [f"{450 + n} nm" for n in range(6)]}},
        {"ome": True, "metadata": {"axes": "CYX"}},
        {"photometric": "minisblack", "bigtiff": True},
    ]
    return [_saved(lambda file, way=way: tifffile.imwrite(file, CUBE, **way)) for way in ways]


def _hdf5_chunks(content: bytes) -> Files:
    """A file that the library wrote well, with the input as the bytes of its chunks: the first
    byte says which filters there are, the next four the masks of those left out."""
    flags, masks, rest = content[:1] or b"\0", content[1:5].ljust(4, b"\0"), content[5:]
    options: dict[str, object] = {}
    if flags[0] & 1:
        options["compression"] = "lzf" if flags[0] & 8 else "gzip"
    options |= {"shuffle": bool(flags[0] & 2), "fletcher32": bool(flags[0] & 4)}
    file = io.BytesIO()
    with h5py.File(file, "w") as book:
        made = book.create_dataset("cube", CUBE.shape, np.int16, chunks=(3, 9, 7), **options)
        half = len(rest) // 2
        for place, part in enumerate((rest[:half], rest[half:])):
            if part:
                mask = masks[place] & 7
                made.id.write_direct_chunk((3 * place, 0, 0), part, filter_mask=mask)
    return [MemoryFile("chunks.h5", file.getvalue())]


def _hdf5_seeds() -> list[bytes]:
    plain = CUBE[:3].tobytes()
    packed = zlib.compress(plain)
    return [
        b"\0\0\0\0\0" + plain * 2,
        b"\1\0\0\0\0" + packed * 2,
        b"\6\7\7\0\0" + plain * 2,
    ]


def _saved(write: Callable[[io.BytesIO], object]) -> bytes:
    file = io.BytesIO()
    write(file)
    return file.getvalue()


def _zarr() -> list[bytes]:
    seeds = []
    for version, chunks in ((2, (3, 9, 7)), (3, (2, 4, 4))):
        folder = zarr.storage.MemoryStore()
        more = {"shards": (4, 8, 8)} if version == 3 else {}
        made = zarr.create_array(
            folder, shape=CUBE.shape, dtype=CUBE.dtype, chunks=chunks, zarr_format=version, **more
        )
        made[...] = CUBE
        seeds.append(_zipped({key: v.to_bytes() for key, v in folder._store_dict.items()}))
    return seeds


def _archive(content: bytes) -> None:
    """Lists an archive and reads every member."""
    archive = open_archive(MemoryFile("a.zip", content), Limits(200, 1 << 24, 200.0))
    if archive is not None:
        for _, file in archive.contents(frozenset(member.path for member in archive.members)):
            while file.read(1 << 16):
                pass


def _archives() -> list[bytes]:
    files = {"a/x.hdr": HEADER, "a/x.raw": CUBE.tobytes(), "b.npy": _npy()[0]}
    seeds = [_zipped(files, zipfile.ZIP_STORED), _zipped(files, zipfile.ZIP_DEFLATED)]
    for mode in ("w", "w:gz"):
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode=mode) as tar:  # type: ignore[call-overload]
            for name, content in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
        seeds.append(file.getvalue())
    return seeds


def _zipped(files: dict[str, bytes], way: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", way) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


def _headers(content: bytes) -> None:
    """Every header that has a parser of ours."""
    text = content.decode("latin-1")
    for parse in (parse_metadata, Checksum.of, parse_content_range):
        with suppress(DomainError):
            parse(text)
    parse_ranges(text, 32)


FORMATS = {
    "envi": Format(
        _cube(_envi), lambda: [header.removeprefix(b"ENVI\n") for header in (HEADER, CLASSES)]
    ),
    "npy": Format(_single("a.npy"), _npy),
    "matlab": Format(_single("a.mat"), _matlab),
    "tiff": Format(_single("a.tif"), _tiff),
    "hdf5-chunks": Format(_cube(_hdf5_chunks), _hdf5_seeds),
    "zarr": Format(_single("a.zarr.zip"), _zarr),
    "archive": Format(_archive, _archives),
    "band-table": Format(
        lambda content: parse_band_table(content, "a.csv"),
        lambda: [b"wavelength,fwhm,good\n400,5,1\n450.5,5,0\n", b"# nm\n400\n500\n"],
    ),
    "headers": Format(
        _headers,
        lambda: [b"filename YS5ucHk=,id YQ==", b"sha1 YQ==", b"bytes=0-4,-7", b"bytes 0-4/9"],
    ),
}

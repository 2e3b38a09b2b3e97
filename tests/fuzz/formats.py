"""What is fuzzed: how an input becomes the files of an upload, and whole files to begin from."""

import io
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import h5py
import numpy as np
import scipy.io
import tifffile

from tests.ingest.files import MemoryFile

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
    """`files` makes an upload of an input; `seeds` are inputs that are well."""

    files: Callable[[bytes], Files]
    seeds: Callable[[], Sequence[bytes]]


def _single(name: str) -> Callable[[bytes], Files]:
    return lambda content: [MemoryFile(name, content)]


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


FORMATS = {
    "envi": Format(_envi, lambda: [header.removeprefix(b"ENVI\n") for header in (HEADER, CLASSES)]),
    "npy": Format(_single("a.npy"), _npy),
    "matlab": Format(_single("a.mat"), _matlab),
    "tiff": Format(_single("a.tif"), _tiff),
    "hdf5-chunks": Format(_hdf5_chunks, _hdf5_seeds),
}

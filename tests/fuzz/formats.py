"""What is fuzzed: what is done with an input, and inputs that are well to begin from."""

import io
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

import h5py
import numpy as np
import scipy.io
import tifffile
import zarr
from pydantic import ValidationError

from hsis.contracts.ids import ID_PATTERN
from hsis.contracts.scenes import scene_ids, scenes_of
from hsis.contracts.uploads import Calibration
from hsis.cube.band_table import parse_band_table
from hsis.cube.layout import CubeInfo
from hsis.cube.panel_table import parse_panel_table
from hsis.spectral_library import read_library
from hsis_ingest.archives.members import Limits
from hsis_ingest.archives.opening import open_archive
from hsis_ingest.detect import open_source
from hsis_ingest.formats.source import ReadOptions
from hsis_ingest.label_raster import label_raster
from tests.fuzz import documents, headers, queries, sayings
from tests.fuzz.outcome import require_storable
from tests.fuzz.sayings import CLASSES, CUBE, HEADER, Files, zipped
from tests.ingest.files import MemoryFile, whole


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
LABELLED = CubeInfo((6, 9, 7), np.dtype(np.int16))
LIBRARY = b"""file type = ENVI Spectral Library
samples = 5
lines = 3
bands = 1
data type = 4
byte order = 0
wavelength units = Micrometers
wavelength = {0.4, 0.5, 0.6, 0.7, 0.8}
spectra names = {a, b, c}
reflectance scale factor = 1
z plot titles = {Wavelength, Reflectance}
"""


def _cube(files: Callable[[bytes], Files]) -> Callable[[bytes], None]:
    """Opens the files that are made of an input, and reads them whole."""
    return lambda content: _read(files(content), OPTIONS)


def _read(files: Files, options: ReadOptions) -> None:
    source = open_source(files, options)
    try:
        small = np.prod(source.info.shape, dtype=float) <= MOST_VALUES
        if small and source.info.bands <= MOST_BANDS:
            whole(source)
        require_storable(source)
    finally:
        source.close()


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
        seeds.append(zipped({key: v.to_bytes() for key, v in folder._store_dict.items()}))
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
    seeds = [zipped(files, zipfile.ZIP_STORED), zipped(files, zipfile.ZIP_DEFLATED)]
    for mode in ("w", "w:gz"):
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode=mode) as tar:  # type: ignore[call-overload]
            for name, content in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
        seeds.append(file.getvalue())
    return seeds


def _capture(content: bytes) -> None:
    """Reads the reflectance of a raw scene."""
    files, panel = sayings.capture(content)
    _read(files, replace(OPTIONS, calibration=Calibration.REFLECTANCE, panel=panel))


def _label_map(content: bytes) -> None:
    """An ENVI header and values, as a class map of a cube."""
    header, _, values = content.partition(sayings.PART)
    files = [MemoryFile("a.hdr", b"ENVI\n" + header), MemoryFile("a.raw", values)]
    source = open_source(files, OPTIONS)
    try:
        if np.prod(source.info.shape, dtype=float) <= MOST_VALUES:
            label_raster(source, LABELLED, None, "a.raw")
    finally:
        source.close()


def _label_maps() -> list[bytes]:
    small = CLASSES.removeprefix(b"ENVI\n").replace(b"42", b"7").replace(b"18", b"9")
    plain = small.partition(b"file type")[0] + b"interleave = bsq\n"
    values = np.arange(63) % 3
    return [
        small + b"data type = 1\n" + sayings.PART + values.astype(np.uint8).tobytes(),
        plain + b"data type = 4\n" + sayings.PART + values.astype(np.float32).tobytes(),
        plain + b"data type = 3\n" + sayings.PART + values.astype(np.int32).tobytes(),
    ]


def _spectral_library(content: bytes) -> None:
    """A header of three spectra of five bands."""
    with TemporaryDirectory() as folder:
        data = Path(folder, "a.sli")
        data.write_bytes(np.linspace(0, 1, 15, dtype="<f4").tobytes())
        Path(folder, "a.hdr").write_bytes(b"ENVI\n" + content)
        with suppress(ValidationError):  # told by the command line
            read_library(data, "c")


def _scene_names(content: bytes) -> None:
    """The scenes among files whose paths are the lines, and their ids."""
    paths = sorted({PurePosixPath(line) for line in content.decode("latin-1").split("\n") if line})
    scenes, beside = scenes_of(paths)
    ids = scene_ids(scenes)
    assert len(set(ids)) == len(ids) == len(scenes), "each scene has an id of its own"
    assert sorted([path for scene in scenes for path in scene] + beside) == paths
    assert all(re.fullmatch(ID_PATTERN, each) for each in ids)


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
    "panel-table": Format(
        lambda content: parse_panel_table(content, "a.csv"),
        lambda: [sayings.PANEL, b"wavelength_um,reflectance\n0.4,0.99\n2.5,0.98\n", b"400 1\n"],
    ),
    "zarr-documents": Format(_cube(sayings.zarr_documents), sayings.zarr_seeds),
    "hdf5-said": Format(_cube(sayings.hdf5_said), lambda: sayings.HDF5),
    "prisma": Format(_cube(sayings.prisma), lambda: sayings.PRISMAS),
    "tiff-said": Format(
        _cube(sayings.tiff_said), lambda: [sayings.IMAGEJ, sayings.OME, sayings.GDAL]
    ),
    "hyperion": Format(
        _cube(sayings.hyperion),
        lambda: [sayings.HYPERION, sayings.HYPERION.partition(b"BAND57")[0]],
    ),
    "enmap": Format(_cube(sayings.enmap), lambda: [sayings.ENMAP]),
    "capture": Format(_capture, lambda: sayings.CAPTURES),
    "label-map": Format(_label_map, _label_maps),
    "spectral-library": Format(_spectral_library, lambda: [LIBRARY]),
    "scene-names": Format(
        _scene_names,
        lambda: [
            b"a/x.hdr\na/x.raw\na/WHITEREF_x.hdr\nEO1H_B001_L1T.TIF\nEO1H_MTL_L1T.TXT",
            b"b-METADATA.XML\nb-SPECTRAL_IMAGE.TIF\nc/1.npy\nc.npy\n.a/x.tif",
        ],
    ),
    "headers": Format(headers.read, lambda: headers.SEEDS),
    "documents": Format(documents.read, lambda: documents.SEEDS),
    "queries": Format(queries.read, lambda: queries.SEEDS),
}

"""Which format a group of files is, by content, and its reader."""

from collections.abc import Mapping, Sequence

from hsis.contracts.uploads import Calibration
from hsis_ingest.errors import (
    MissingData,
    MissingHeader,
    MissingReference,
    TruncatedFile,
    UnknownFormat,
    UnsupportedFormat,
)
from hsis_ingest.formats import enmap, geotiff, hdf5_file, npy, zip_members
from hsis_ingest.formats.band_stack import BandStackSource
from hsis_ingest.formats.captures import Capture, capture_of
from hsis_ingest.formats.enmap import EnmapSource
from hsis_ingest.formats.envi import EnviSource
from hsis_ingest.formats.hdf5_layouts import open_hdf5
from hsis_ingest.formats.hyperion import HyperionSource, hyperion_metadata
from hsis_ingest.formats.matlab import MatlabSource
from hsis_ingest.formats.npy import NpySource
from hsis_ingest.formats.reflectance import ReflectanceSource
from hsis_ingest.formats.source import ByteSource, ReadOptions, Source
from hsis_ingest.formats.texts import with_storable_texts
from hsis_ingest.formats.tiff_stack import open_tiff
from hsis_ingest.formats.zarr import ZarrSource

HEAD_BYTES = 520
RAW_SUFFIXES = frozenset({"raw", "img", "bil", "bip", "bsq", "dat", "bin", "cube", "envi"})
KNOWN = (
    "ENVI (data and .hdr), GeoTIFF, MATLAB, HDF5, NetCDF-4, EnMAP, Hyperion, zipped Zarr and .npy"
)


def open_source(files: Sequence[ByteSource], options: ReadOptions) -> Source:
    """The cube in a group of files that were uploaded together; what is said of it can be stored.

    Raises an InputFault that says what is wrong and what would be right.
    """
    source = _opened(files, options)
    source.info = with_storable_texts(source.info)
    return source


def _opened(files: Sequence[ByteSource], options: ReadOptions) -> Source:
    if options.panel is not None and options.calibration is Calibration.NONE:
        raise MissingReference("`white_reflectance` is of calibration = reflectance; say both.")
    kinds = {file.name: kind_of(file) for file in files}
    product = _enmap_product(files, options)
    if product is not None:
        return product
    hyperion = _hyperion_product(files, kinds, options)
    if hyperion is not None:
        return hyperion
    headers = [file for file in files if kinds[file.name] == "envi"]
    if headers:
        return _open_envi(headers, [file for file in files if file not in headers], options)
    if options.calibration is Calibration.REFLECTANCE:
        raise MissingReference(
            "calibration = reflectance computes it from an ENVI scene, its white and its dark "
            "reference; no ENVI header is among the files."
        )
    known = [file for file in files if kinds[file.name] is not None]
    if len(known) > 1 and all(kinds[file.name] == "tiff" for file in known):
        return BandStackSource(known, options)
    if len(known) > 1:
        names = ", ".join(file.name for file in known)
        raise UnsupportedFormat(f"{names} are cubes of their own; upload them one by one.")
    if not known:
        raise _unknown(files)
    return _open_single(known[0], kinds[known[0].name], options)


def kind_of(file: ByteSource) -> str | None:
    """`envi` (a header), `tiff`, `matlab`, `matlab-hdf5`, `hdf5`, `npy`, `zip`; None for others."""
    head = file.read_at(0, HEAD_BYTES)
    if head.removeprefix(b"\xef\xbb\xbf").split(b"\n", 1)[0].strip() == b"ENVI":
        return "envi"
    if head[:4] in geotiff.MAGICS:
        return "tiff"
    if head.startswith(npy.MAGIC):
        return "npy"
    if head[512:].startswith(hdf5_file.MAGIC) and head.startswith(b"MATLAB"):
        return "matlab-hdf5"
    if head.startswith(hdf5_file.MAGIC):
        return "hdf5"
    if head.startswith(zip_members.MAGICS):
        return "zip"
    if len(head) >= 128 and head[126:128] in {b"IM", b"MI"} and head.startswith(b"MATLAB 5"):
        return "matlab"
    return None


def _open_single(file: ByteSource, kind: str | None, options: ReadOptions) -> Source:
    if kind == "tiff":
        return open_tiff(file, options)
    if kind == "npy":
        return NpySource(file, options)
    if kind == "matlab":
        return MatlabSource(file, options)
    if kind == "zip":
        return ZarrSource(file, options)
    if kind == "matlab-hdf5":
        return open_hdf5(file, options, matlab=True)
    return open_hdf5(file, options)


def _enmap_product(files: Sequence[ByteSource], options: ReadOptions) -> Source | None:
    """The image of an EnMAP product among its files; None where there is no metadata of one."""
    metadata = [
        file
        for file in files
        if file.name.upper().endswith(enmap.METADATA_END)
        and file.read_at(0, 256).lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<")
    ]
    if not metadata:
        return None
    images = [file for file in files if file.name.upper().endswith(enmap.IMAGE_END)]
    if len(metadata) != 1 or len(images) != 1:
        raise MissingData(
            f"{metadata[0].name} is the metadata of an EnMAP product; its one image "
            f"…-{enmap.IMAGE_END} (level 1C or 2A) in the same upload is right."
        )
    return EnmapSource(metadata[0], images[0], options)


def _hyperion_product(
    files: Sequence[ByteSource], kinds: Mapping[str, str | None], options: ReadOptions
) -> Source | None:
    """The images of a Hyperion product among its files; None where there is no metadata of one."""
    found = [
        (file.name, said)
        for file in files
        if kinds[file.name] is None and (said := hyperion_metadata(file)) is not None
    ]
    if len(found) > 1:
        names = ", ".join(name for name, _ in found)
        raise UnsupportedFormat(
            f"{names} are metadata of Hyperion products of their own; upload them one by one."
        )
    if not found:
        return None
    images = [file for file in files if kinds[file.name] == "tiff"]
    return HyperionSource(*found[0], images, options)


def _open_envi(
    headers: Sequence[ByteSource], others: Sequence[ByteSource], options: ReadOptions
) -> Source:
    capture = capture_of(headers) if len(headers) > 1 else None
    if options.calibration is Calibration.REFLECTANCE:
        return _open_reflectance(capture, headers[0], others, options)
    if capture is not None:
        return _open_pair(capture.scene, others)
    if len(headers) > 1:
        names = ", ".join(file.name for file in headers)
        raise UnsupportedFormat(f"{names} are headers of cubes of their own; upload one by one.")
    return _open_pair(headers[0], others)


def _open_reflectance(
    capture: Capture | None, header: ByteSource, others: Sequence[ByteSource], options: ReadOptions
) -> Source:
    if capture is None or capture.white is None or capture.dark is None:
        lacking = "white" if capture is None or capture.white is None else "dark"
        scene = header if capture is None else capture.scene
        raise MissingReference(
            f"calibration = reflectance needs the {lacking} reference of {scene.name}: "
            f"{lacking.upper()}REF_{scene.name} and its data in the same upload."
        )
    return ReflectanceSource(
        _open_pair(capture.scene, others),
        _open_pair(capture.white, others),
        _open_pair(capture.dark, others),
        None if capture.white_dark is None else _open_pair(capture.white_dark, others),
        options,
    )


def _open_pair(header: ByteSource, others: Sequence[ByteSource]) -> EnviSource:
    """A header with the data among the other files that it describes."""
    if not others:
        raise MissingData(
            f"{header.name} is an ENVI header; upload its data file in the same upload."
        )
    if len(others) == 1:
        return EnviSource(header, others[0])
    stem = header.name.rsplit(".", 1)[0].lower()
    named = [file for file in others if stem in {file.name.lower(), _stem(file)}]
    raw = [file for file in named if _suffix(file) in RAW_SUFFIXES or file.name.lower() == stem]
    matching = named if len(named) == 1 else raw  # a picture or notes may have the same name
    if len(matching) != 1:
        names = ", ".join(file.name for file in others)
        raise MissingData(f"It is not clear which of {names} the header {header.name} describes.")
    return EnviSource(header, matching[0])


def _stem(file: ByteSource) -> str:
    return file.name.lower().rsplit(".", 1)[0]


def _suffix(file: ByteSource) -> str:
    return file.name.rpartition(".")[2].lower()


def _unknown(files: Sequence[ByteSource]) -> Exception:
    for file in files:
        if file.size == 0:
            return TruncatedFile(f"{file.name} is empty.")
        if _suffix(file) == "hdr":
            return UnknownFormat(f"{file.name} is no ENVI header: its first line is not `ENVI`.")
    for file in files:
        if _suffix(file) in RAW_SUFFIXES or "." not in file.name:
            return MissingHeader(
                f"{file.name} has no known format: a raw file needs its ENVI header (.hdr) in the "
                "same upload."
            )
    names = ", ".join(file.name for file in files)
    return UnknownFormat(f"{names}: no known format; {KNOWN} are read.")

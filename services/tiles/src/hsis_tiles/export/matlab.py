"""MATLAB's v5 format ("MAT-File Format", MathWorks, R2023b): the cube and what describes it.

Arrays of MATLAB count their first axis fastest: a cube of (y, x, band) lies in the file with bands
slowest and y fastest. Where it would pass 2 GiB, v7.3 is written instead (`matlab73.py`).
"""

import math
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsis.cube.layout import CubeInfo
from hsis_tiles.export.attributes import NO_TEXTS, Texts
from hsis_tiles.export.blocks import ExportFile, Piece, array_blocks
from hsis_tiles.export.selection import Selection

MEDIA_TYPE = "application/x-matlab-data"
VARIABLE = "cube"
MAX_VARIABLE_BYTES = 2**31 - 1
FILE_AXES = {"yxb": "bxy", "byx": "xyb"}
"""The axes in the file, slowest first, by those that MATLAB shows."""
_HEADER = b"MATLAB 5.0 MAT-file, written by HSIS".ljust(124) + struct.pack("<H2s", 0x0100, b"IM")
_MATRIX, _INT8, _INT32, _UINT16, _UINT32 = 14, 1, 5, 4, 6
_CHAR_CLASS = 4
_COMPLEX_FLAG = 0x0800
# The class of an array and the type of its numbers, by dtype of a real number.
_TYPES = {
    "float64": (6, 9), "float32": (7, 7), "int8": (8, 1), "uint8": (9, 2), "int16": (10, 3),
    "uint16": (11, 4), "int32": (12, 5), "uint32": (13, 6), "int64": (14, 12), "uint64": (15, 13),
}  # fmt: skip


def described(info: CubeInfo, attributes: Texts) -> dict[str, NDArray[Any] | str]:
    """What is written beside the cube, by the name of its variable."""
    found: dict[str, NDArray[Any] | str] = {
        "scale": np.atleast_2d(info.scale),
        "offset": np.atleast_2d(info.offset),
    }
    if info.nodata is not None:
        found["nodata"] = np.array([[info.nodata]])
    for name, values in (("wavelength_nm", info.wavelengths_nm), ("fwhm_nm", info.fwhm_nm)):
        if values is not None:
            found[name] = np.array([values], np.float64)
    if info.good_bands is not None:
        found["good_bands"] = np.array([info.good_bands], np.uint8)
    if info.band_names is not None:
        found["band_names"] = "\n".join(info.band_names)
    if info.unit is not None:
        found["unit"] = info.unit
    if info.transform is not None:
        found["transform"] = np.array([info.transform])
    if info.crs_wkt is not None:
        found["crs_wkt"] = info.crs_wkt
    return found | dict(attributes)


def fits(info: CubeInfo) -> bool:
    """Whether MATLAB reads a variable of this size in v5."""
    return len(_cube_header(info, "yxb")) + _data_bytes(info) <= MAX_VARIABLE_BYTES


def mat_file(
    name: str,
    info: CubeInfo,
    chosen: Selection,
    *,
    axes: str,
    max_bytes: int,
    attributes: Texts = NO_TEXTS,
) -> ExportFile:
    """The cube, which must fit, as the variable `cube` with axes `axes` (`yxb` or `byx`)."""
    real = _real(info.dtype)
    count = math.prod(info.shape) * real.itemsize
    beside = described(info, attributes)
    head = _HEADER + b"".join(_variable(key, value) for key, value in beside.items())
    head += _cube_header(info, axes)
    tag = _tag(_TYPES[real.name][1], count)
    padding = bytes(-count % 8)
    order = FILE_AXES[axes]

    def pieces() -> Iterator[Piece]:
        yield head
        parts = (np.real, np.imag) if info.dtype.kind == "c" else (None,)
        for part in parts:
            yield tag
            yield from array_blocks(chosen, order, real.newbyteorder("<"), max_bytes, part)
            yield padding

    return ExportFile(f"{name}.mat", MEDIA_TYPE, len(head) + _data_bytes(info), pieces)


def _real(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.dtype(f"f{dtype.itemsize // 2}") if dtype.kind == "c" else dtype


def _data_bytes(info: CubeInfo) -> int:
    """The bytes of the cube's numbers, with their tags and what fills them up to 8."""
    real = _real(info.dtype)
    count = math.prod(info.shape) * real.itemsize
    return (2 if info.dtype.kind == "c" else 1) * (8 + count + -count % 8)


def _cube_header(info: CubeInfo, axes: str) -> bytes:
    """Everything of the variable that stands before its numbers."""
    real = _real(info.dtype)
    flags = _TYPES[real.name][0] | (_COMPLEX_FLAG if info.dtype.kind == "c" else 0)
    sizes = dict(zip("byx", info.shape, strict=True))
    shape = tuple(sizes[axis] for axis in axes)
    inner = _array_header(VARIABLE, flags, shape)
    # A length of over 4 GiB has no room in the tag; `fits` says so before.
    return _tag(_MATRIX, min(len(inner) + _data_bytes(info), 2**32 - 1)) + inner


def _array_header(name: str, flags: int, shape: tuple[int, ...]) -> bytes:
    return (
        _element(_UINT32, struct.pack("<II", flags, 0))
        + _element(_INT32, struct.pack(f"<{len(shape)}i", *shape))
        + _element(_INT8, name.encode())
    )


def _variable(name: str, value: NDArray[Any] | str) -> bytes:
    if isinstance(value, str):
        units = value.encode("utf-16-le")
        inner = _array_header(name, _CHAR_CLASS, (1, len(units) // 2)) + _element(_UINT16, units)
    else:
        kind, numbers = _TYPES[value.dtype.name]
        inner = _array_header(name, kind, value.shape) + _element(
            numbers, value.astype(value.dtype.newbyteorder("<")).tobytes(order="F")
        )
    return _tag(_MATRIX, len(inner)) + inner


def _element(kind: int, content: bytes) -> bytes:
    return _tag(kind, len(content)) + content + bytes(-len(content) % 8)


def _tag(kind: int, length: int) -> bytes:
    return struct.pack("<II", kind, length)

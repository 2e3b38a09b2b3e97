"""MATLAB's v7.3 format: HDF5 behind a header of 512 bytes, the axes of every array in reverse."""

import struct
from collections.abc import Callable

import h5py
import numpy as np

from hsis.cube.layout import CubeInfo
from hsis_tiles.export.attributes import NO_TEXTS, Texts
from hsis_tiles.export.blocks import ExportFile
from hsis_tiles.export.hdf5 import hdf5_file
from hsis_tiles.export.matlab import FILE_AXES, MEDIA_TYPE, VARIABLE, described
from hsis_tiles.export.netcdf import chunk_of
from hsis_tiles.export.selection import Selection

_USER_BLOCK = (
    b"MATLAB 7.3 MAT-file, written by HSIS".ljust(116)
    + bytes(8)
    + struct.pack("<H2s", 0x0200, b"IM")
).ljust(512, b"\0")
_CLASSES = {"float64": "double", "float32": "single"}
"""MATLAB's names of NumPy's types, where they differ."""


def mat73_file(
    name: str,
    info: CubeInfo,
    chosen: Selection,
    *,
    axes: str,
    max_bytes: int,
    attributes: Texts = NO_TEXTS,
) -> ExportFile:
    """The cube as the variable `cube` with axes `axes` (`yxb` or `byx`), and what describes it."""
    order = FILE_AXES[axes]
    kind = info.dtype.name
    stored_type = None
    if info.dtype.kind == "c":
        half = f"<f{info.dtype.itemsize // 2}"
        kind = f"float{info.dtype.itemsize * 4}"
        stored_type = np.dtype([("real", half), ("imag", half)])

    def write(file: h5py.File, array: Callable[[str], h5py.Dataset]) -> None:
        for key, value in described(info, attributes).items():
            if isinstance(value, str):
                units = np.frombuffer(value.encode("utf-16-le"), "<u2").reshape(-1, 1)
                _set_class(file.create_dataset(key, data=units), "char")
                file[key].attrs["MATLAB_int_decode"] = np.int32(2)
            else:
                _set_class(file.create_dataset(key, data=value.T), value.dtype.name)
        _set_class(array(VARIABLE), kind)

    return hdf5_file(
        f"{name}.mat",
        MEDIA_TYPE,
        chosen,
        order,
        chunk_of(info, order),
        info.dtype,
        max_bytes,
        write,
        user_block=_USER_BLOCK,
        stored_type=stored_type,
    )


def _set_class(variable: h5py.Dataset, kind: str) -> None:
    variable.attrs["MATLAB_class"] = np.bytes_(_CLASSES.get(kind, kind).encode())

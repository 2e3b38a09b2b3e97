"""NumPy's format: one array behind a header. It holds no metadata."""

import io
import math
from collections.abc import Iterator

import numpy as np

from hsis.cube.layout import CubeInfo
from hsis_tiles.export.blocks import ExportFile, Piece, array_blocks
from hsis_tiles.export.selection import Selection


def npy_file(
    name: str, info: CubeInfo, chosen: Selection, *, axes: str, max_bytes: int
) -> ExportFile:
    """An array with the axes `axes`, C order."""
    dtype = info.dtype.newbyteorder("<")
    sizes = dict(zip("byx", info.shape, strict=True))
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        head,
        {
            "descr": np.lib.format.dtype_to_descr(dtype),
            "fortran_order": False,
            "shape": tuple(sizes[axis] for axis in axes),
        },
    )
    header = head.getvalue()

    def pieces() -> Iterator[Piece]:
        yield header
        yield from array_blocks(chosen, axes, dtype, max_bytes)

    length = len(header) + math.prod(info.shape) * dtype.itemsize
    return ExportFile(f"{name}.npy", "application/octet-stream", length, pieces)

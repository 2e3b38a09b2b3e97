"""The variables of a MATLAB v5 file: their descriptions, and where their numbers are."""

import math
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsis_ingest.errors import DecompressionBomb, TruncatedFile
from hsis_ingest.formats.matlab_elements import Matrix, Tag, matrices
from hsis_ingest.formats.matlab_variables import Variable
from hsis_ingest.formats.source import ByteSource, ReadOptions, read_exactly
from hsis_ingest.formats.strided import StridedArray

CLASSES = {
    1: "cell", 2: "struct", 3: "object", 4: "char", 5: "sparse", 6: "double", 7: "single",
    8: "int8", 9: "uint8", 10: "int16", 11: "uint16", 12: "int32", 13: "uint32", 14: "int64",
    15: "uint64", 16: "function", 17: "opaque",
}  # fmt: skip
OPAQUE = 17
TYPES = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8",
}  # fmt: skip
LOGICAL_FLAG = 0x0200
COMPLEX_FLAG = 0x0800
MAX_AXES = 64
MAX_NAME_BYTES = 512


@dataclass(frozen=True, slots=True)
class Part:
    """The real or the imaginary numbers of an array, as they are stored: often in a smaller type
    than the variable's."""

    content: ByteSource
    offset: int
    dtype: np.dtype[Any]


@dataclass(frozen=True, slots=True)
class Stored:
    """A variable, and `at` which offset in its bytes the numbers begin."""

    variable: Variable
    matrix: Matrix
    at: int
    is_complex: bool

    def parts(self) -> list[Part]:
        """Of an array of numbers: the real, and the imaginary ones if it has any."""
        tags = [self.matrix.tag(self.at)]
        if self.is_complex:
            tags.append(self.matrix.tag(tags[0].next))
        return [self._part(tag) for tag in tags]

    def values(self) -> NDArray[Any]:
        """The real numbers, one after the other: for arrays that are small."""
        [part, *_] = self.parts()
        content = read_exactly(
            part.content, part.offset, math.prod(self.variable.shape) * part.dtype.itemsize
        )
        return np.frombuffer(content, part.dtype)

    def _part(self, tag: Tag) -> Part:
        told = f"{self.matrix.content.name} is damaged: {self.variable.told}"
        code = TYPES.get(tag.kind)
        if code is None:
            raise TruncatedFile(f"{told} has numbers of the unknown type {tag.kind}.")
        dtype = np.dtype(self.matrix.order + code)
        needed = math.prod(self.variable.shape) * dtype.itemsize
        if tag.length != needed:
            raise TruncatedFile(f"{told} has {tag.length} bytes; {needed} are needed.")
        return Part(self.matrix.content, tag.start, dtype)


@dataclass(frozen=True, slots=True)
class MatlabArray:
    """An array of numbers with the axes of a cube, named as StridedArray does."""

    parts: list[StridedArray]

    @classmethod
    def of(cls, stored: Stored, axes: str, shape: tuple[int, int, int]) -> "MatlabArray":
        """The numbers of a variable, with these axes."""
        return cls(
            [
                StridedArray(part.content, part.offset, part.dtype, axes, shape)
                for part in stored.parts()
            ]
        )

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of what is read: that of the file, a complex one where there are two parts."""
        [real, *imaginary] = (np.empty(0, part.dtype) for part in self.parts)
        return np.dtype((real + imaginary[0] * 1j).dtype if imaginary else real.dtype)

    def read(self, bands: slice, rows: slice, columns: slice) -> NDArray[Any]:
        """A window, shape (band, y, x), C order."""
        real = self.parts[0].read(bands, rows, columns)
        if len(self.parts) == 1:
            return real
        values = np.empty(real.shape, self.dtype)
        values.real = real
        del real
        values.imag = self.parts[1].read(bands, rows, columns)
        return values


def read_variables(source: ByteSource, options: ReadOptions) -> list[Stored]:
    """The variables of a file, in order; errors as `matrices`."""
    found: list[Stored] = []
    for matrix in matrices(source, options):
        found.append(_described(matrix))
        if len(found) > options.hdf5_max_objects:
            raise DecompressionBomb(
                f"{source.name} has more than {options.hdf5_max_objects} variables "
                "(setting hdf5_max_objects)."
            )
    return found


def _described(matrix: Matrix) -> Stored:
    flags = matrix.tag(matrix.start)
    (bits,) = struct.unpack(matrix.order + "I", _bytes(matrix, flags, 4, 8))
    number = bits & 0xFF
    kind = CLASSES.get(number, "unknown")
    if number == OPAQUE:  # an object of a newer kind, described otherwise
        return Stored(Variable("None", (), kind), matrix, flags.next, is_complex=False)
    sizes = matrix.tag(flags.next)
    content = _bytes(matrix, sizes, sizes.length // 4 * 4, 4 * MAX_AXES)
    shape = tuple(size for (size,) in struct.iter_unpack(matrix.order + "i", content))
    name = matrix.tag(sizes.next)
    text = _bytes(matrix, name, name.length, MAX_NAME_BYTES).decode("latin-1")
    if min(shape, default=0) < 0:
        raise TruncatedFile(f"{matrix.content.name} is damaged: {text} has the shape {shape}.")
    variable = Variable(text, shape, kind)
    if variable.numeric and bits & LOGICAL_FLAG:
        variable = Variable(text, shape, "logical")
    return Stored(variable, matrix, name.next, is_complex=bool(bits & COMPLEX_FLAG))


def _bytes(matrix: Matrix, tag: Tag, length: int, most: int) -> bytes:
    """The first bytes of a part; TruncatedFile where it has fewer, or more than `most`."""
    if not length <= tag.length <= most:
        raise TruncatedFile(
            f"{matrix.content.name} is damaged: the description of a variable has a part of "
            f"{tag.length} bytes."
        )
    return read_exactly(matrix.content, tag.start, length)

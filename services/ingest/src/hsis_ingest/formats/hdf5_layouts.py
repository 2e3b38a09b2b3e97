"""Which reader an HDF5 file gets: one that knows the product's layout, else the general one."""

from hsis_ingest.formats import prisma
from hsis_ingest.formats.hdf5 import Hdf5Source
from hsis_ingest.formats.hdf5_check import try_opening
from hsis_ingest.formats.hdf5_file import Hdf5File
from hsis_ingest.formats.matlab73 import Matlab73Source
from hsis_ingest.formats.prisma import PrismaSource
from hsis_ingest.formats.source import ByteSource, ReadOptions, Source


def open_hdf5(data: ByteSource, options: ReadOptions, *, matlab: bool = False) -> Source:
    """The cube in an HDF5 file, `matlab` in one of MATLAB v7.3; an InputFault says what is
    wrong."""
    if options.hdf5_check_cpu_s is not None:
        try_opening(data, options, matlab=matlab)
    file = Hdf5File(data, options)
    try:
        return read_hdf5(file, options, matlab=matlab)
    except BaseException:
        file.close()
        raise


def read_hdf5(file: Hdf5File, options: ReadOptions, *, matlab: bool) -> Source:
    """The reader for an open file."""
    if matlab:
        return Matlab73Source(file, options)
    swath = prisma.swath_of(file)
    if swath is not None and options.variable in {None, *prisma.VARIABLES}:
        return PrismaSource(file, swath, options)
    return Hdf5Source(file, options)

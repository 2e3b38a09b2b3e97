"""Which reader an HDF5 file gets: one that knows the product's layout, else the general one."""

from hsis_ingest.formats import prisma
from hsis_ingest.formats.hdf5 import Hdf5Source
from hsis_ingest.formats.hdf5_file import Hdf5File
from hsis_ingest.formats.prisma import PrismaSource
from hsis_ingest.formats.source import ByteSource, ReadOptions, Source


def open_hdf5(data: ByteSource, options: ReadOptions) -> Source:
    """The cube in an HDF5 file; an InputFault says what is wrong."""
    file = Hdf5File(data, options)
    try:
        swath = prisma.swath_of(file)
        if swath is not None and options.variable in {None, *prisma.VARIABLES}:
            return PrismaSource(file, swath, options)
        return Hdf5Source(file, options)
    except BaseException:
        file.close()
        raise

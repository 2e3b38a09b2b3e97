"""What `/cubes/{collection}/{item}/export` takes."""

from enum import StrEnum


class ExportFormat(StrEnum):
    """What a cube is exported as."""

    ENVI = "envi"
    GEOTIFF = "geotiff"
    COG = "cog"
    NETCDF = "netcdf"
    NPY = "npy"
    MAT = "mat"
    ZARR = "zarr"
    ORIGINAL = "original"


class Interleave(StrEnum):
    """The order of an ENVI file."""

    BSQ = "bsq"
    BIL = "bil"
    BIP = "bip"


class ArrayAxes(StrEnum):
    """The axes of an array without names, as NumPy and MATLAB show them."""

    YXB = "yxb"
    BYX = "byx"


class BboxCrs(StrEnum):
    """What a bbox is in: the cube's own reference system, or degrees of WGS 84."""

    CUBE = "cube"
    LONLAT = "lonlat"

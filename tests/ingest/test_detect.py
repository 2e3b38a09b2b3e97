"""Which reader a group of files gets, and what is said where none fits."""

import io
import zipfile

import h5py
import numpy as np
import pytest

from hsis_ingest.detect import open_source
from hsis_ingest.errors import (
    HeaderMismatch,
    MissingData,
    MissingHeader,
    TruncatedFile,
    UnknownFormat,
    UnsupportedFormat,
)
from hsis_ingest.formats.source import ReadOptions
from tests.ingest.files import MemoryFile
from tests.ingest.hdf5_files import h5

HEADER = (
    b"ENVI\nsamples = 3\nlines = 2\nbands = 2\ndata type = 1\ninterleave = bsq\nbyte order = 0\n"
)


def opened(**files):
    named = [MemoryFile(name.replace("_", "."), content) for name, content in files.items()]
    return open_source(named, ReadOptions())


def test_a_header_finds_its_data_whatever_its_first_bytes():
    assert opened(c_hdr=HEADER, c_raw=b"II*\0" + bytes(8)).format_name == "ENVI"
    assert opened(c_raw=bytes(12), other=HEADER).format_name == "ENVI"


def test_a_header_chooses_its_namesake():
    source = opened(c_hdr=HEADER, c_raw=bytes(12), notes_txt=b"words")
    assert source.info.shape == (2, 2, 3)
    assert opened(c_raw_hdr=HEADER, c_raw=bytes(12), d_raw=b"").info.shape == (2, 2, 3)


@pytest.mark.parametrize(
    ("files", "error", "message"),
    [
        ({"c_raw": b"\1" * 12}, MissingHeader, "c.raw.*ENVI header"),
        ({"c_bil": b"\1" * 12, "d_bsq": b"\1"}, MissingHeader, "ENVI header"),
        ({"c_hdr": HEADER}, MissingData, "c.hdr is an ENVI header; upload its data"),
        ({"c_hdr": HEADER, "d_raw": b"", "e_raw": b""}, MissingData, "d.raw, e.raw"),
        ({"c_txt": b"some words"}, UnknownFormat, "c.txt.*ENVI.*GeoTIFF.*MATLAB.*npy"),
        ({"c_jpg": b"\xff\xd8\xff\xe0"}, UnknownFormat, "c.jpg"),
        ({"c_hdr": b"not envi", "c_raw": b"\1"}, UnknownFormat, "first line is not `ENVI`"),
        ({"c_raw": b""}, TruncatedFile, "empty"),
        ({"c_tif": b"II*\0"}, TruncatedFile, "4 bytes"),
        ({"c_h5": b"\x89HDF\r\n\x1a\n"}, TruncatedFile, "c.h5 is damaged"),
        ({"c_npy": b"\x93NUMPY", "d_tif": b"II*\0"}, UnsupportedFormat, "one by one"),
        ({"c_hdr": b"ENVI\n", "c_raw": b"\1"}, HeaderMismatch, "`samples`"),
    ],
)
def test_what_does_not_fit_is_told(files, error, message):
    with pytest.raises(error, match=message):
        opened(**files)


ZARR = rb"""{"zarr_format": 3, "node_type": "array", "shape": [2, 1, 1], "data_type": "uint8",
"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [2, 1, 1]}},
"chunk_key_encoding": {"name": "default"}, "fill_value": 0, "codecs": [{"name": "bytes"}],
"dimension_names": ["band", "y", "x"],
"attributes": {"units": "W m-2\u0000nm-1\u0000", "band_names": ["\ud83dred", "\u00b5\u0000"]}}"""


def test_what_no_store_holds_is_taken_out_of_texts():
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("zarr.json", ZARR)
    info = opened(c_zip=archive.getvalue()).info
    assert (info.unit, info.band_names) == ("W m-2 nm-1", ("\ufffdred", "\xb5"))


def test_a_text_in_latin_1_that_says_to_be_utf_8_is_read():
    def write(file):
        file["cube"] = np.zeros((2, 3, 4), np.uint8)
        file["cube"].attrs.create("units", "é of µW".encode("latin-1"), dtype=h5py.string_dtype())

    assert open_source([h5(write)], ReadOptions()).info.unit == "é of µW"

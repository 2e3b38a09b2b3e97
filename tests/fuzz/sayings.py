"""Files that are well but for what they say of themselves: the input is that text."""

import io
import json
import zipfile
from contextlib import suppress

import h5py
import numpy as np
import tifffile
import zarr

from hsis.cube.panel_table import parse_panel_table
from hsis.errors import DomainError
from hsis_ingest.formats.panels import WhitePanel
from tests.ingest.files import MemoryFile

Files = list[MemoryFile]
CUBE = np.arange(6 * 9 * 7, dtype=np.int16).reshape(6, 9, 7)
MOST_LINES = 64
PART = b"\xff"
"""Between the texts of an input of several."""

HEADER = b"""ENVI
description = {a scene
 over two lines}
samples = 7
lines = 9
bands = 6
header offset = 0
file type = ENVI Standard
data type = 2
interleave = bsq
byte order = 0
wavelength units = Nanometers
wavelength = {400, 450,
 500, 550, 600, 650}
fwhm = {5, 5, 5, 5, 5, 5}
bbl = {1, 1, 1, 1, 1, 0}
band names = {a, b, c, d, e, f}
data ignore value = -9999
reflectance scale factor = 10000
map info = {UTM, 1, 1, 500000, 5000000, 30, 30, 33, North, WGS-84, rotation=12}
acquisition time = 2024-06-01T10:00:00Z
"""
CLASSES = b"""ENVI
samples = 42
lines = 18
bands = 1
file type = ENVI Classification
data type = 1
interleave = bsq
classes = 3
class names = {Unclassified, Corn, Wheat}
class lookup = {0,0,0, 255,0,0, 0,255,0}
"""
EXPOSED = HEADER + b"tint = 8\n"
TWO_EXPOSED = HEADER + b"tint1 = 8\ntint2 = 4.5\nvimg1 = {1, 3}\nvimg2 = {4, 6}\n"
PANEL = b"wavelength;reflectance (%)\n350;99,1\n700;98,7\n"
CAPTURES = [
    PART.join([EXPOSED, EXPOSED, EXPOSED, PANEL]),
    PART.join([TWO_EXPOSED, TWO_EXPOSED, TWO_EXPOSED, b""]),
]
"""Headers of a scene, of its white and its dark reference, and the white panel's certificate."""

IMAGEJ = b"ImageJ=1.53t\nimages=6\nchannels=6\nhyperstack=true\nmode=grayscale\nunit=micron\n"
OME = (
    b'<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image>'
    b'<AcquisitionDate>2024-06-01T10:00:00Z</AcquisitionDate><Pixels SizeC="6" SizeZ="1" SizeT="1">'
    + b'<Channel Name="a" EmissionWavelength="450" EmissionWavelengthUnit="nm"/>' * 6
    + b"</Pixels></Image></OME>"
)
GDAL = (
    b'<GDALMetadata><Item name="wavelength" sample="0">400</Item><Item name="fwhm" sample="0">5'
    b'</Item><Item name="bbl" sample="0">1</Item><Item name="SCALE" sample="0" role="scale">0.1'
    b'</Item><Item name="DESCRIPTION" sample="0" role="description">red</Item><Item name="UNITTYPE"'
    b' sample="0" role="unittype">1</Item><Item name="start_time">2024-06-01T10:00:00Z</Item>'
    b'<Item name="CENTRAL_WAVELENGTH_UM" domain="IMAGERY" sample="0">0.4</Item></GDALMetadata>'
)
HYPERION = b"""PRODUCT_TYPE = "L1T"
START_TIME = "2005 105 17:53:17.500"
SCALING_FACTOR_VNIR = 40.0
SCALING_FACTOR_SWIR = 80.0
SENSOR_LOOK_ANGLE = -12.5
SUN_AZIMUTH = -140.25
SUN_ELEVATION = 55.5
BAND57_FILE_NAME = "IR.TIF"
END
"""
ENMAP = (
    b"<level_X><base><level>L2A</level><temporalCoverage><startTime>2022-07-24T10:45:26.127Z"
    b"</startTime></temporalCoverage></base><specific><bandCharacterisation>"
    + b"".join(
        b'<bandID number="%d"><wavelengthCenterOfBand>%d</wavelengthCenterOfBand><FWHMOfBand>6'
        b"</FWHMOfBand><GainOfBand>0.1</GainOfBand><OffsetOfBand>0</OffsetOfBand></bandID>"
        % (number, 400 + number)
        for number in range(1, 7)
    )
    + b"</bandCharacterisation><backgroundValue>-32768</backgroundValue><vnirProductQuality>"
    b"<expectedChannelsList>1, 2,</expectedChannelsList></vnirProductQuality><swirProductQuality>"
    b"<expectedChannelsList>4</expectedChannelsList></swirProductQuality></specific></level_X>"
)
HDF5 = [
    b"scale_factor=1,2,3,4,5,6,7\nadd_offset=0.5\n_FillValue=-1\nunits=1\n"
    b"/wavelength=400,450,500,550,600,650,700\n/fwhm=5,5,5,5,5,5,5\n/good_wavelengths=1,1,1,1,1,0,1\n"
    b"@time_coverage_start=2024-06-01T10:00:00Z\n@Conventions=CF-1.8\ngrid_mapping=cube\n"
    b"GeoTransform=5 1 0 6 0 -1",
    b"physical_values=stored * band_scale + band_offset\n/band_scale=1,2,3,4,5,6,7\n"
    b"/band_offset=1,2,3,4,5,6,7\n/x=1,2,3,4,5,6,7\n/y=9,8,7,6,5,4,3,2,1",
]


PRISMA = (
    b"List_Cw_Vnir=0,970,800,600,400,300\nList_Fwhm_Vnir=9,9,9,9,9,9\nList_Cw_Vnir_Flags=0,1,1,1,1,1"
    b"\nList_Cw_Swir=2500,1500,950,0,0,0\nList_Fwhm_Swir=9,9,9,9,9,9\nList_Cw_Swir_Flags=1,1,1,0,0,0"
    b"\nProduct_StartTime=2022-06-01T10:11:12.5\nEpsg_Code=32632\nProduct_ULcorner_easting=500000"
    b"\nProduct_ULcorner_northing=4500000\nProduct_LRcorner_easting=500180"
    b"\nProduct_LRcorner_northing=4499880\n"
)
PRISMAS = [
    b"2D\n" + PRISMA + b"L2ScaleVnirMin=0\nL2ScaleVnirMax=1\nL2ScaleSwirMin=0\nL2ScaleSwirMax=2\n",
    b"1\n" + PRISMA + b"ScaleFactor_Vnir=9\nOffset_Vnir=0\nScaleFactor_Swir=8\nOffset_Swir=1\n",
]


def zarr_documents(content: bytes) -> Files:
    """A Zarr of version 3 with the input as its array's document, or of version 2 where two parts
    are the documents of an array and of its attributes."""
    array, parted, attributes = content.partition(PART)
    files = {"cube/.zarray": array, "cube/.zattrs": attributes, "cube/0.0.0": CUBE.tobytes()}
    if not parted:
        files = {"zarr.json": array, "c/0/0/0": CUBE.tobytes()}
    return [MemoryFile("a.zarr.zip", zipped(files))]


def zarr_seeds() -> list[bytes]:
    """Documents with all that is read of them."""
    said = {
        "units": "1", "_FillValue": -9999, "scale_factor": [0.5] * 6, "add_offset": 1.0,
        "_ARRAY_DIMENSIONS": ["wavelength", "y", "x"], "band_names": list("abcdef"),
        "GeoTransform": "5 1 0 6 0 -1", "grid_mapping": "crs", "scale": 2, "nodata": 1,
    }  # fmt: skip
    classes = {"flag_values": [1], "flag_titles": ["a"], "flag_colors": "#ff0000"}
    made = []
    for version, attributes in ((2, said), (3, said), (3, classes)):
        folder = zarr.storage.MemoryStore()
        array = zarr.create_array(
            folder, shape=CUBE.shape, dtype=CUBE.dtype, chunks=CUBE.shape, zarr_format=version,
            compressors=None, dimension_names=None if version == 2 else ["band", "y", "x"],
        )  # fmt: skip
        array.attrs.put(attributes)
        names = (".zarray", ".zattrs") if version == 2 else ("zarr.json",)
        made.append(PART.join(_compact(folder._store_dict[name].to_bytes()) for name in names))
    return made


def hdf5_said(content: bytes) -> Files:
    """A file of one cube. Each line of the input is an attribute of it, `name=1,2.5` or
    `name=text`; with `@` before the name one of the file, with `/` an array beside the cube."""
    file = io.BytesIO()
    with h5py.File(file, "w") as book:
        cube = book.create_dataset("cube", data=CUBE)
        for line in content.splitlines()[:MOST_LINES]:
            name, _, value = line[:4096].partition(b"=")
            with suppress(ValueError, OSError, RuntimeError, KeyError, TypeError):
                if name.startswith(b"/"):
                    book[name[1:].decode("latin-1")] = _value(value)
                else:
                    node = book if name.startswith(b"@") else cube
                    node.attrs[name.removeprefix(b"@").decode("latin-1")] = _value(value)
    return [MemoryFile("said.h5", file.getvalue())]


def prisma(content: bytes) -> Files:
    """A product of the level in the first line; each other one is an attribute of the file."""
    level, *lines = content.splitlines() or [b""]
    level = level if level in {b"1", b"2B", b"2C", b"2D"} else b"2D"
    file = io.BytesIO()
    with h5py.File(file, "w") as book:
        fields = book.create_group(f"HDFEOS/SWATHS/PRS_L{level.decode()}_HCO/Data Fields")
        for detector in ("VNIR", "SWIR"):
            fields[f"{detector}_Cube"] = CUBE.transpose(1, 0, 2).astype(np.uint16)
        for line in lines[:MOST_LINES]:
            name, _, value = line[:4096].partition(b"=")
            with suppress(ValueError, OSError, RuntimeError, KeyError, TypeError):
                book.attrs[name.decode("latin-1")] = _value(value)
    return [MemoryFile("PRS.he5", file.getvalue())]


def tiff_said(content: bytes) -> Files:
    """A TIFF of one image with GDAL's metadata, or of six with a program's description."""
    file = io.BytesIO()
    if content.startswith(b"<GDAL"):
        tags = [(42112, 2, 0, content, True)]
        tifffile.imwrite(file, CUBE[0], metadata=None, description="", extratags=tags)
    else:
        with tifffile.TiffWriter(file) as writer:
            for band, image in enumerate(CUBE):
                tags = [] if band else [(270, 2, 0, content, True)]
                writer.write(image, metadata=None, description="", extratags=tags)
    return [MemoryFile("a.tif", file.getvalue())]


def hyperion(content: bytes) -> Files:
    """The text behind the line by which it is known, with two bands, or with one image of all
    where it names no file."""
    metadata = MemoryFile("EO1H_MTL_L1T.TXT", b'SENSOR_ID = "HYPERION"\n' + content)
    if b"FILE_NAME" not in content:
        return [metadata, MemoryFile("all.TIF", ALL_BANDS)]
    return [metadata, MemoryFile("EO1H_B001_L1T.TIF", ONE_BAND), MemoryFile("IR.TIF", ONE_BAND)]


def enmap(content: bytes) -> Files:
    """The metadata and an image of six bands."""
    return [MemoryFile("A-METADATA.XML", content), MemoryFile("A-SPECTRAL_IMAGE.TIF", SIX_BANDS)]


def capture(content: bytes) -> tuple[Files, WhitePanel | None]:
    """The files of a raw scene with its references, and its white panel where one is said."""
    scene, white, dark, panel = (content.split(PART) + [b""] * 4)[:4]
    files = [
        MemoryFile("x.hdr", scene), MemoryFile("x.raw", CUBE.tobytes()),
        MemoryFile("WHITEREF_x.hdr", white), MemoryFile("WHITEREF_x.raw", (CUBE + 999).tobytes()),
        MemoryFile("DARKREF_x.hdr", dark), MemoryFile("DARKREF_x.raw", (CUBE * 0).tobytes()),
    ]  # fmt: skip
    try:
        return files, WhitePanel(parse_panel_table(panel, "panel.csv"), "panel.csv")
    except DomainError:
        return files, None


def zipped(files: dict[str, bytes], way: int = zipfile.ZIP_STORED) -> bytes:
    """A zip file of these."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", way) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


def _tiff(values: np.ndarray) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, values, photometric="minisblack", planarconfig="separate", metadata=None)
    return file.getvalue()


ONE_BAND, SIX_BANDS = _tiff(CUBE[0]), _tiff(CUBE)
ALL_BANDS = _tiff(np.zeros((242, 2, 3), np.int16))


def _compact(document: bytes) -> bytes:
    return json.dumps(json.loads(document), separators=(",", ":")).encode()


def _value(text: bytes) -> object:
    """Numbers where all of the words are, else the text, damaged as it may be."""
    try:
        numbers = [float(word) for word in text.split(b",")]
    except ValueError:
        return text.decode("utf-8", "surrogateescape")
    return numbers[0] if len(numbers) == 1 else np.array(numbers)

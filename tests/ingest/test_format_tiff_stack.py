"""Stacks of images in one TIFF file, as tifffile writes them for ImageJ, OME and others."""

import io
import struct

import numpy as np
import pytest
import rasterio
import tifffile

from hsis_ingest.errors import (
    DecompressionBomb,
    ExternalReference,
    HeaderMismatch,
    TruncatedFile,
    UnsupportedFormat,
)
from tests.ingest.files import MemoryFile, file_of, opened, whole

STACK = np.random.default_rng(6).integers(0, 60_000, (20, 33, 47)).astype(np.uint16)
WINDOW = (slice(3, 19), slice(5, 30), slice(11, 47))


def tif(values, **options):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, values, **({"photometric": "minisblack"} | options))
    return MemoryFile("stack.tif", buffer.getvalue())


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"bigtiff": True},
        {"byteorder": ">"},
        {"rowsperstrip": 7},
        {"compression": "zlib", "predictor": True},
        {"compression": "zlib", "tile": (16, 32), "byteorder": ">"},
        {"metadata": None},
        {"imagej": True},
        {"ome": True, "metadata": {"axes": "ZYX"}},
        {"ome": True, "bigtiff": True, "metadata": {"axes": "TYX"}},
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
def test_stacks(options, dtype):
    values = STACK.astype(dtype)
    if dtype == "f4" and options.get("predictor"):
        options = {**options, "predictor": False}
    source = opened([tif(values, **options)])
    assert source.format_name.startswith("TIFF stack")
    assert source.info.dtype == dtype
    np.testing.assert_array_equal(whole(source), values)
    np.testing.assert_array_equal(source.read(*WINDOW), values[WINDOW])


def test_scales_that_gdal_wrote_of_each_image():
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        for number, values in enumerate(STACK):
            items = "".join(
                f'<Item name="{role.upper()}" sample="0" role="{role}">{value}</Item>'
                for role, value in (("scale", 0.5 + number), ("offset", -number))
            )
            text = f"<GDALMetadata>{items}</GDALMetadata>"
            tags = [(42112, 2, 0, text, True)] if number else []  # the first says none
            writer.write(values, photometric="minisblack", extratags=tags, metadata=None)
    source = opened([MemoryFile("stack.tif", buffer.getvalue())])
    np.testing.assert_array_equal(whole(source), STACK)
    assert source.info.scale == (1, *(0.5 + number for number in range(1, 20)))
    assert source.info.offset == tuple(-number for number in range(20))


@pytest.mark.parametrize("compress", ["lzw", "packbits", "zstd"])
def test_compressions_that_gdal_knows(tmp_path, compress):
    path = tmp_path / "stack.tif"
    profile = {"driver": "GTiff", "count": 1, "height": 33, "width": 47, "dtype": "uint16",
               "crs": "EPSG:32633", "transform": rasterio.Affine(2, 0, 0, 0, -2, 66)}  # fmt: skip
    for number, values in enumerate(STACK[:3]):
        more = {} if number == 0 else {"APPEND_SUBDATASET": "YES"}
        with rasterio.open(path, "w", compress=compress, **profile, **more) as dataset:
            dataset.write(values, 1)
    source = opened([file_of(path)])
    np.testing.assert_array_equal(whole(source), STACK[:3])
    assert source.info.transform == (2, 0, 0, 0, -2, 66)


def test_labels_of_imagej_are_bands():
    labels = [f"filter at {400 + 12.5 * n} nm" for n in range(20)]
    file = tif(STACK, imagej=True, metadata={"axes": "CYX", "Labels": labels})
    info = opened([file]).info
    assert info.band_names == tuple(labels)
    assert info.wavelengths_nm == pytest.approx(400 + 12.5 * np.arange(20))
    plain = tif(STACK, imagej=True, metadata={"axes": "ZYX", "Labels": ["depth"] * 20})
    assert opened([plain]).info.wavelengths_nm is None


def test_channels_of_ome_are_bands():
    channels = {
        "Name": [f"channel {n}" for n in range(20)],
        "EmissionWavelength": [400 + n for n in range(20)],
        "EmissionWavelengthUnit": ["nm"] * 20,
    }
    source = opened([tif(STACK, ome=True, metadata={"axes": "CYX", "Channel": channels})])
    assert source.format_name == "TIFF stack (OME)"
    assert source.info.band_names == tuple(channels["Name"])
    assert source.info.wavelengths_nm == tuple(channels["EmissionWavelength"])


def test_one_directory_of_imagej_and_all_values_behind_it():
    first = tif(STACK[:1], imagej=True).content
    text = b"ImageJ=1.54f\nimages=20\nslices=20\n".ljust(64, b"\0")
    head = struct.pack("<2sHI", b"II", 42, 8)
    entries = [
        (256, 4, 1, 47), (257, 4, 1, 33), (258, 3, 1, 16), (259, 3, 1, 1), (262, 3, 1, 1),
        (270, 2, 64, 200), (273, 4, 1, 264), (277, 3, 1, 1), (278, 4, 1, 33),
        (279, 4, 1, 33 * 47 * 2),
    ]  # fmt: skip
    directory = struct.pack("<H", len(entries))
    directory += b"".join(struct.pack("<HHII", *entry) for entry in entries) + bytes(4)
    content = (head + directory).ljust(200, b"\0") + text + STACK.tobytes()
    assert first[:2] == content[:2]
    source = opened([MemoryFile("big.tif", content)])
    assert source.format_name == "TIFF stack (ImageJ)"
    np.testing.assert_array_equal(whole(source), STACK)
    np.testing.assert_array_equal(source.read(*WINDOW), STACK[WINDOW])
    with pytest.raises(TruncatedFile, match="its 20 images need"):
        opened([MemoryFile("big.tif", content[:-1])])


def test_an_image_with_overviews_is_no_stack(tmp_path):
    path = tmp_path / "cog.tif"
    values = np.random.default_rng(0).integers(0, 99, (3, 600, 600)).astype(np.uint8)
    with rasterio.open(
        path, "w", driver="COG", count=3, height=600, width=600, dtype="uint8", crs="EPSG:32633",
        transform=rasterio.Affine(10, 0, 500, 0, -10, 900),
    ) as dataset:  # fmt: skip
        dataset.write(values)
    source = opened([file_of(path)])
    assert source.format_name == "GeoTIFF"
    np.testing.assert_array_equal(whole(source), values)


def test_more_than_one_axis_of_images_is_refused():
    values = STACK.reshape(4, 5, 33, 47)
    for options in ({"imagej": True, "metadata": {"axes": "ZCYX"}},
                    {"ome": True, "metadata": {"axes": "ZCYX"}}):  # fmt: skip
        with pytest.raises(UnsupportedFormat, match="more than one axis"):
            opened([tif(values, **options)])


def test_images_of_different_sizes_are_refused():
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        writer.write(STACK[0], metadata=None)
        writer.write(STACK[0, :20], metadata=None)
    with pytest.raises(UnsupportedFormat, match=r"different sizes or types \(47 x 20, 47 x 33\)"):
        opened([MemoryFile("mixed.tif", buffer.getvalue())])


def test_images_of_colours_are_refused():
    with pytest.raises(UnsupportedFormat, match="2 images of 3 bands each"):
        opened([tif(np.zeros((2, 8, 9, 3), np.uint8), photometric="rgb")])


def ome_text(text):
    """A stack of three images with this description."""
    return tif(STACK[:3], metadata=None, description=text)


OME = (
    '<?xml version="1.0"?>{start}<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
    '<Image ID="Image:0"><AcquisitionDate>2024-02-03T04:05:06</AcquisitionDate>'
    '<Pixels SizeC="{c}" SizeZ="1" SizeT="1" SizeX="47" SizeY="33">{inside}</Pixels></Image></OME>'
)


def test_the_time_of_ome():
    source = opened([ome_text(OME.format(start="", c=3, inside=""))])
    assert source.acquired_at.isoformat() == "2024-02-03T04:05:06+00:00"


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"c": 4}, TruncatedFile, "holds 3 images; OME says 4"),
        ({"c": 0}, HeaderMismatch, "SizeC = '0'"),
        ({"c": "9" * 30}, HeaderMismatch, "SizeC"),
        (
            {"c": 9, "inside": '<TiffData><UUID FileName="/etc/passwd">x</UUID></TiffData>'},
            ExternalReference,
            "in other files",
        ),
        (
            {"c": 3, "inside": '<Channel EmissionWavelength="nan"/>' * 3},
            HeaderMismatch,
            "EmissionWavelength 'nan'",
        ),
        ({"start": '<!DOCTYPE x [<!ENTITY a "a">]>'}, UnsupportedFormat, "document type"),
        ({"inside": "<broken"}, HeaderMismatch, "OME-XML is damaged"),
    ],
)
def test_ome_that_cannot_be(values, error, message):
    with pytest.raises(error, match=message):
        opened([ome_text(OME.format(**({"start": "", "c": 3, "inside": ""} | values)))])


def directory_offsets(content):
    offsets = [struct.unpack("<I", content[4:8])[0]]
    while True:
        (count,) = struct.unpack("<H", content[offsets[-1] : offsets[-1] + 2])
        link = offsets[-1] + 2 + 12 * count
        (following,) = struct.unpack("<I", content[link : link + 4])
        if not following:
            return offsets, link
        offsets.append(following)


def test_a_chain_of_images_that_leads_back():
    content = bytearray(tif(STACK[:4], metadata=None).content)
    offsets, last_link = directory_offsets(content)
    for back in (offsets[0], offsets[2], offsets[-1]):
        content[last_link : last_link + 4] = struct.pack("<I", back)
        with pytest.raises(TruncatedFile, match=f"leads back to byte {back}"):
            opened([MemoryFile("circle.tif", bytes(content))])
    content[last_link : last_link + 4] = struct.pack("<I", len(content) + 9)
    with pytest.raises(TruncatedFile, match="image directory begins at byte"):
        opened([MemoryFile("far.tif", bytes(content))])


def test_too_many_images():
    with pytest.raises(DecompressionBomb, match=r"more than 3 images.*tiff_max_images"):
        opened([tif(STACK[:4], metadata=None)], tiff_max_images=3)


def test_a_tag_of_billions_of_values():
    content = bytearray(tif(STACK[:1], metadata=None).content)
    (at,) = struct.unpack("<I", content[4:8])
    content[at + 2 + 4 : at + 2 + 8] = struct.pack("<I", 2**31)
    with pytest.raises(DecompressionBomb, match="declares 2147483648 values"):
        opened([MemoryFile("tag.tif", bytes(content))])


def sparse(path, **profile):
    """An image of 30,000 x 30,000 pixels and three bands, none of whose blocks is stored."""
    with rasterio.open(
        path, "w", driver="GTiff", count=3, height=30_000, width=30_000, dtype="uint16",
        crs="EPSG:32633", transform=rasterio.Affine(10, 0, 500, 0, -10, 900), sparse_ok=True,
        **profile,
    ):  # fmt: skip
        pass
    return file_of(path)


def test_a_size_that_nothing_stands_behind(tmp_path):
    file = sparse(tmp_path / "sparse.tif", tiled=True, blockxsize=1024, blockysize=1024)
    assert file.size < 100_000
    with pytest.raises(DecompressionBomb, match=r"declares 5400000000 bytes.*max_expansion"):
        opened([file])


def test_tiles_larger_than_allowed(tmp_path):
    file = sparse(tmp_path / "tiles.tif", tiled=True, blockxsize=8192, blockysize=8192)
    with pytest.raises(DecompressionBomb, match=r"pieces of 402653184 bytes.*max_chunk_bytes"):
        opened([file], max_chunk_bytes=100_000_000)


@pytest.mark.parametrize("kept", [9, 100, 0.2, 0.9, 0.999])
@pytest.mark.parametrize("options", [{"metadata": None}, {"compression": "zlib"}], ids=str)
def test_a_truncated_stack(kept, options):
    content = tif(STACK, **options).content
    size = int(kept * len(content)) if kept < 1 else kept
    with pytest.raises(TruncatedFile, match=r"stack.tif"):
        whole(opened([MemoryFile("stack.tif", content[:size])]))


def test_an_error_of_the_store_is_not_taken_for_a_damaged_file():
    file = tif(STACK, compression="zlib")
    source = opened([file])

    def away(offset, length):
        raise ConnectionError("away")

    file.read_at = away
    with pytest.raises(ConnectionError, match="away"):
        whole(source)
    with pytest.raises(ConnectionError, match="away"):
        opened([file])


def test_a_tag_of_eight_bytes_where_four_have_place():
    """Found by fuzzing: a classic TIFF has the value elsewhere."""
    content = bytearray(tif(STACK[0]).content)
    with tifffile.TiffFile(io.BytesIO(bytes(content))) as file:
        width = file.pages[0].tags["ImageWidth"]
    content[width.offset + 2 : width.offset + 4] = b"\x10\0"  # LONG8
    content[width.valueoffset : width.valueoffset + 4] = bytes(4)
    with pytest.raises(TruncatedFile):
        whole(opened([MemoryFile("long8.tif", bytes(content))]))

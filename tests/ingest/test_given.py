"""What an uploader and a template say of a cube arrives in the stored cube and in the item."""

import base64
import io
import math
from datetime import UTC, datetime

import numpy as np
import pytest
import zarr
from pydantic import ValidationError

from hsis.contracts.metadata import CubeMetadata
from hsis.contracts.uploads import UploadState
from hsis.cube.layout import CubeInfo
from hsis.errors import InvalidInput, NotFound
from hsis_ingest.errors import HeaderMismatch, MetadataMismatch
from hsis_ingest.given import describe
from tests.ingest.conftest import Ingest

COLLECTION = "given"
VALUES = np.arange(4 * 5 * 3, dtype=np.int16).reshape(4, 5, 3)
"""Rows, columns, bands."""


def npy(array=VALUES):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


async def root_of(ingest: Ingest, collection: str, item: str):
    """The stored cube as zarr-python reads it."""
    store = zarr.storage.FsspecStore.from_url(
        f"{ingest.storage_url}/blobs/cubes/{collection}/{item}/cube.zarr",
        storage_options={"headers": {"Authorization": f"Bearer {ingest.admin_token}"}},
        read_only=True,
    )
    return await zarr.api.asynchronous.open_group(store, mode="r")


async def listed(root, name):
    return np.asarray(await (await root.getitem(name)).getitem(...)).tolist()


async def converted(ingest: Ingest, files, collection=COLLECTION, **more):
    upload = await ingest.ended(await ingest.send(collection, files, **more))
    assert upload.state is UploadState.SUCCEEDED, upload.error
    return await ingest.catalog.item(collection, upload.item, token=ingest.admin_token)


async def test_everything_that_is_said_is_stored(ingest: Ingest):
    said = {
        "wavelengths_file": "bands.csv",
        "band_names": ["blue", "green", "red"],
        "unit": "W m-2 sr-1 um-1",
        "sensor": "Specim IQ",
        "platform": "tripod",
        "scale": 0.5,
        "offset": -1,
        "nodata": 7,
        "datetime": "2024-06-01T10:30:00+02:00",
        "place": [13.1, 52.3, 13.2, 52.4],
        "license": "CC-BY-4.0",
        "properties": {"lab:operator": "Ada", "lab:lamp_on": True, "title": "A leaf"},
    }
    table = "wavelength (µm);fwhm;good\n0,45;0,01;1\n0,55;0,02;0\n0,65;0,03;1\n".encode()
    files = {"leaf.npy": npy(), "bands.csv": table}
    item = await converted(ingest, files, metadata=said)
    assert item["id"] == "leaf"
    properties, cube = item["properties"], item["assets"]["cube"]
    assert properties["datetime"] == "2024-06-01T08:30:00Z"
    assert properties["hsi:datetime_source"] == "acquisition"
    assert properties["instruments"] == ["Specim IQ"]
    assert properties["platform"] == "tripod"
    assert properties["license"] == "CC-BY-4.0"
    assert properties["lab:operator"] == "Ada"
    assert properties["lab:lamp_on"] is True
    assert properties["title"] == "A leaf"
    assert properties["hsi:wavelength_max"] == pytest.approx(0.65)
    assert item["bbox"] == [13.1, 52.3, 13.2, 52.4]
    assert [13.2, 52.4] in item["geometry"]["coordinates"][0]
    assert (cube["raster:scale"], cube["raster:offset"], cube["nodata"]) == (0.5, -1, 7)
    assert cube["unit"] == "W m-2 sr-1 um-1"
    assert [band["name"] for band in cube["bands"]] == ["blue", "green", "red"]
    centres = [band["eo:center_wavelength"] for band in cube["bands"]]
    assert centres == pytest.approx([0.45, 0.55, 0.65])
    widths = [band["eo:full_width_half_max"] for band in cube["bands"]]
    assert widths == pytest.approx([0.01, 0.02, 0.03])
    assert [band["hsi:good_band"] for band in cube["bands"]] == [True, False, True]
    assert properties["hsi:metadata_from"]["wavelengths"] == "upload"
    original = {asset["title"] for name, asset in item["assets"].items() if "original" in name}
    assert original == {"leaf.npy", "bands.csv"}

    root = await root_of(ingest, COLLECTION, "leaf")
    assert await listed(root, "wavelength_nm") == pytest.approx([450, 550, 650])
    assert await listed(root, "fwhm_nm") == pytest.approx([10, 20, 30])
    assert await listed(root, "good_band") == [True, False, True]
    assert root.attrs["time_coverage_start"] == "2024-06-01T08:30:00Z"
    assert root.attrs["instrument"] == "Specim IQ"
    assert root.attrs["license"] == "CC-BY-4.0"
    assert root.attrs["geospatial_lat_max"] == 52.4
    assert root.attrs["properties"]["lab:operator"] == "Ada"
    array = await root.getitem("cube")
    assert array.attrs["scale"] == 0.5
    assert array.attrs["nodata"] == 7
    assert np.array_equal(await array.getitem(...), VALUES.transpose(2, 0, 1))
    statistics = await ingest.storage.get(
        f"cubes/{COLLECTION}/leaf/statistics.json", token=ingest.admin_token
    )
    assert b'"valid_count":19' in statistics  # of the band that holds the 7


async def test_metadata_that_do_not_fit_keep_the_files_for_another_try(ingest: Ingest):
    upload = await ingest.ended(
        await ingest.send(COLLECTION, {"few.npy": npy()}, metadata={"wavelengths": [450, 550]})
    )
    assert upload.state is UploadState.FAILED
    assert upload.error.slug == "metadata-mismatch"
    assert "2 values; the cube has 3 bands" in upload.error.detail
    with pytest.raises(NotFound):
        await ingest.catalog.item(COLLECTION, "few", token=ingest.admin_token)
    alone = await ingest.client.upload(upload.id, token=ingest.admin_token)
    assert alone.metadata == CubeMetadata(wavelengths=[450, 550])  # to be said anew
    listed = await ingest.client.uploads(COLLECTION, token=ingest.admin_token)
    assert {each.metadata for each in listed if each.id == upload.id} == {None}
    right = CubeMetadata(wavelengths=[450, 550, 650])
    again = await ingest.client.retry(upload.id, right, token=ingest.admin_token)
    assert (await ingest.ended(again)).state is UploadState.SUCCEEDED
    item = await ingest.catalog.item(COLLECTION, "few", token=ingest.admin_token)
    assert item["properties"]["hsi:wavelength_min"] == 0.45


async def test_a_list_of_bands_that_does_not_fit_is_replaced_by_what_is_given(ingest: Ingest):
    files = {"long.npy": npy(), "bands.csv": b"wavelength,fwhm\n450,5\n550,5\n"}
    said = {"wavelengths_file": "bands.csv", "unit": "DN"}
    upload = await ingest.ended(await ingest.send(COLLECTION, files, metadata=said))
    assert upload.error.slug == "metadata-mismatch"
    for metadata, told in (({"unit": "DN"}, "2 values"), ({"wavelengths": [1, 2, 3]}, None)):
        right = CubeMetadata(**metadata, wavelength_unit="um")
        again = await ingest.client.retry(upload.id, right, token=ingest.admin_token)
        upload = await ingest.ended(again)
        assert (upload.error is None) if told is None else (told in upload.error.detail)
    item = await ingest.catalog.item(COLLECTION, "long", token=ingest.admin_token)
    bands = item["assets"]["cube"]["bands"]
    assert [band["eo:center_wavelength"] for band in bands] == [1, 2, 3]
    assert "eo:full_width_half_max" not in bands[0]
    assert {"original-1", "original-2"} <= set(item["assets"])


async def test_a_list_of_bands_that_is_none_is_told(ingest: Ingest):
    """Its bytes stand in the message, as far as they can be stored there."""
    files = {"bytes.npy": npy(), "bands.xlsx": b"PK\3\4 \0\0 sheet"}
    said = {"wavelengths_file": "bands.xlsx"}
    upload = await ingest.ended(await ingest.send(COLLECTION, files, metadata=said))
    assert upload.error.slug == "metadata-mismatch"
    assert "bands.xlsx" in upload.error.detail
    assert "\0" not in upload.error.detail


async def test_a_template_says_what_neither_file_nor_uploader_say(ingest: Ingest):
    token = ingest.admin_token
    await ingest.send("templated", {"a.npy": npy()}, id="first")  # makes the collection
    template = CubeMetadata(
        unit="reflectance", sensor="HySpex", wavelengths=[1, 2, 3], wavelength_unit="um",
        properties={"lab:room": "1", "lab:lamp": "halogen"},
    )  # fmt: skip
    await ingest.catalog.set_template("templated", template, token=token)
    header = b"ENVI\nsamples=5\nlines=4\nbands=3\ndata type=2\ninterleave=bip\nwavelength={4,5,6}"
    item = await converted(
        ingest,
        {"b.hdr": header + b"\nwavelength units = micrometers\n", "b.raw": VALUES.tobytes()},
        "templated",
        metadata={"unit": "radiance", "properties": {"lab:lamp": "LED"}},
    )
    cube, properties = item["assets"]["cube"], item["properties"]
    assert cube["unit"] == "radiance"  # the uploader before the template
    assert [band["eo:center_wavelength"] for band in cube["bands"]] == [4, 5, 6]  # the file too
    assert properties["instruments"] == ["HySpex"]
    assert properties["lab:room"] == "1"
    assert properties["lab:lamp"] == "LED"
    assert properties["hsi:metadata_from"] == {
        "unit": "upload", "sensor": "template", "properties": "upload",
    }  # fmt: skip
    await ingest.catalog.remove_template("templated", token=token)
    assert await ingest.catalog.template("templated", token=token) is None


async def test_tus_metadata_say_it_too(ingest: Ingest):
    pairs = {
        "collection": COLLECTION, "filename": "by-tus.npy", "unit": "counts", "nodata": "3",
        "metadata": '{"wavelengths": [450, 550, 650], "properties": {"lab:n": 1}}',
    }  # fmt: skip
    encoded = (f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in pairs.items())
    content = npy()
    headers = {
        "Tus-Resumable": "1.0.0", "Upload-Length": str(len(content)),
        "Upload-Metadata": ",".join(encoded), "Authorization": f"Bearer {ingest.admin_token}",
        "Content-Type": "application/offset+octet-stream",
    }  # fmt: skip
    answer = await ingest.http.post(f"{ingest.url}/uploads", headers=headers, content=content)
    assert answer.status_code == 201, answer.text
    listing = await ingest.http.get(
        f"{ingest.url}/uploads", params={"collection": COLLECTION},
        headers={"Authorization": f"Bearer {ingest.admin_token}"},
    )  # fmt: skip
    upload = await ingest.client.upload(
        listing.json()["uploads"][0]["id"], token=ingest.admin_token
    )
    assert (await ingest.ended(upload)).state is UploadState.SUCCEEDED
    item = await ingest.catalog.item(COLLECTION, "by-tus", token=ingest.admin_token)
    assert item["assets"]["cube"]["unit"] == "counts"
    assert item["assets"]["cube"]["nodata"] == 3
    assert item["properties"]["lab:n"] == 1


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"wavelengths": [450, -1]}, "wavelengths.1"),
        ({"scale": 0}, "a scale is not 0"),
        ({"scale": [1, 0, 1]}, "0 for band 2 of 3; a scale is not 0"),
        ({"scale": "much"}, "scale: 'much'; a finite number is right, or a list"),
        ({"scale": [0.5, "x", 1]}, "'x' for band 2 of 3; a finite number is right"),
        ({"offset": [0.5, None]}, "None for band 2 of 2; a finite number is right"),
        ({"offset": []}, "a list of 0 numbers; a finite number is right, or a list of one a band"),
        ({"offset": {"a": 1}}, "{'a': 1}; a finite number is right"),
        ({"scale": True}, "True; a finite number is right"),
        ({"offset": "inf"}, "'inf'; a finite number is right"),
        ({"offset": 10**400}, "; a finite number is right"),
        ({"datetime": "2024-06-01T10:30:00"}, "timezone"),
        ({"place": [200, 10]}, "longitudes"),
        ({"place": {"type": "Point", "coordinates": [10**400, 10]}}, "longitudes"),
        ({"properties": {"hsi:band_count": 3}}, "set by HSIS"),
        ({"properties": {"datetime": "x"}}, "set by HSIS"),
        ({"license": "a\nb"}, "license"),
        ({"wavelengths_file": "other.csv"}, "wavelengths_file is 'other.csv'"),
        ({"wavelength": [1]}, "Extra inputs"),
    ],
)
async def test_what_cannot_be_is_refused_when_it_is_announced(ingest: Ingest, said, told):
    answer = await ingest.http.post(
        f"{ingest.url}/uploads",
        json={"collection": COLLECTION, "files": [{"name": "x.npy"}], "metadata": said},
        headers={"Authorization": f"Bearer {ingest.admin_token}"},
    )
    assert answer.status_code == 400
    assert told in answer.json()["detail"]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"white_reflectance": 0.99}, "say both"),
        ({"white_reflectance": 99, "calibration": "reflectance"}, "0.99 for 99 %"),
        ({"white_reflectance": "nan", "calibration": "reflectance"}, "above 0 to 1.2"),
        ({"white_reflectance": "p.csv", "calibration": "reflectance"}, "it has x.hdr"),
    ],
)
async def test_a_panel_that_cannot_be_is_refused_when_it_is_announced(ingest: Ingest, said, told):
    answer = await ingest.http.post(
        f"{ingest.url}/uploads",
        json={"collection": COLLECTION, "files": [{"name": "x.hdr"}], **said},
        headers={"Authorization": f"Bearer {ingest.admin_token}"},
    )
    assert answer.status_code == 400
    assert told in answer.json()["detail"]


def described(said, dtype="int16", located=False, **more):
    info = CubeInfo((3, 4, 5), np.dtype(dtype), **more)
    return describe(info, None, CubeMetadata(**said), CubeMetadata(), located=located)


def test_nodata_is_a_value_of_the_type():
    assert described({"nodata": -9999}).info.nodata == -9999
    assert math.isnan(described({"nodata": "nan"}, "float32").info.nodata)
    # The nearest float32, as a file of that type holds it.
    assert described({"nodata": 0.1}, "float32").info.nodata == float(np.float32(0.1))
    least = described({"nodata": -3.4028235e38}, "float32").info.nodata  # as headers write it
    assert least == float(np.finfo(np.float32).min)
    assert described({"nodata": 2**63 - 1}, "int64").info.nodata == 2.0**63
    for nodata, dtype in ((1.5, "int16"), (-1, "uint8"), (70000, "uint16"), ("nan", "int32")):
        with pytest.raises(MetadataMismatch, match="an integer from"):
            described({"nodata": nodata}, dtype)
    with pytest.raises(MetadataMismatch, match=r"at most 3.40"):
        described({"nodata": 1e39}, "float32")


def test_a_place_is_for_cubes_without_a_grid():
    transform = (1.0, 0.0, 0.0, 0.0, -1.0, 0.0)
    with pytest.raises(MetadataMismatch, match="grid of its own"):
        described({"place": [1, 2]}, crs_wkt="EPSG:32633", transform=transform, located=True)
    across = described({"place": [170, -10, -170, 10]}).acquisition
    assert across.bbox == (170, -10, -170, 10)
    assert [[170, -10], [180, -10], [180, 10], [170, 10], [170, -10]] in [
        ring for polygon in across.geometry["coordinates"] for ring in polygon
    ]


def test_a_file_is_believed_before_a_template():
    info = CubeInfo((1, 1, 1), np.dtype("u1"), unit="DN", scale=0.1)
    template = CubeMetadata(unit="x", scale=2, offset=3, nodata=0, datetime="2020-01-01T00:00:00Z")
    acquired = datetime(2024, 1, 1, tzinfo=UTC)
    found = describe(info, acquired, CubeMetadata(), template, located=False)
    assert (found.info.unit, found.info.scale, found.info.offset) == ("DN", 0.1, 0)
    assert found.acquisition.acquired_at == acquired
    assert found.sources == {"nodata": "template"}


def test_what_the_file_gives_the_item_goes_before_the_template():
    info = CubeInfo((1, 1, 1), np.dtype("u1"))
    template, of_file = CubeMetadata(sensor="x", platform="y"), {"instruments": ["hyperion"]}
    found = describe(info, None, CubeMetadata(), template, located=False, properties=of_file)
    assert (found.acquisition.sensor, found.acquisition.platform) == ("hyperion", "y")
    said = CubeMetadata(sensor="z")
    found = describe(info, None, said, template, located=False, properties=of_file)
    assert found.acquisition.sensor == "z"


def test_scales_of_all_bands_or_of_each():
    assert CubeMetadata(scale=["0.5", 2]).scale == [0.5, 2]
    with pytest.raises(ValidationError, match="nan for band 2 of 2; a finite number is right"):
        CubeMetadata(scale=[1, math.nan])
    with pytest.raises(ValidationError, match=r"a list of 65537 numbers; .* at most 65536"):
        CubeMetadata(scale=[1] * 65537)
    assert described({"scale": "0.5"}).info.scale == 0.5  # as keys of tus say it
    found = described({"scale": [0.5, 0.5, 0.25], "offset": [3, 3, 3]}).info
    assert (found.scale, found.offset) == ((0.5, 0.5, 0.25), 3)
    with pytest.raises(MetadataMismatch, match=r"`offset` .* has 2 values; the cube has 3 bands"):
        described({"offset": [1, 2]})
    with pytest.raises(HeaderMismatch, match=r"scale of band 2 is nan; .* given with the upload"):
        described({}, scale=(1.0, math.nan, 2.0))
    assert described({"scale": 2}, scale=(1.0, math.nan, 2.0)).info.scale == 2


@pytest.mark.parametrize(
    ("of_file", "told"),
    [
        ({"wavelengths_nm": (1.0, math.inf, 3.0)}, "wavelength of band 2 is inf nm; a finite"),
        ({"wavelengths_nm": (1.0, 2.0, math.nan)}, "wavelength of band 3 is nan nm; a finite"),
        ({"fwhm_nm": (math.inf, 2.0, 3.0)}, "width of band 1 is inf nm; .*`fwhm`"),
        ({"transform": (1e308, 0, 1e308, 0, -1, 0)}, r"1e\+308, 0, 1e\+308.* finite coordinates"),
    ],
)
def test_numbers_of_a_file_that_no_item_can_hold(of_file, told):
    """Found by fuzzing: JSON has no infinity, and of no finite wavelength there is no least."""
    with pytest.raises(HeaderMismatch, match=told):
        described({}, **of_file)


def test_a_thing_is_said_once():
    from hsis_ingest.given import check_said

    with pytest.raises(InvalidInput, match="one of them"):
        check_said(CubeMetadata(wavelengths=[1], wavelengths_file="x"))

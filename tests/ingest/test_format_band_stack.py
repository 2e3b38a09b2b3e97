"""Single-band GeoTIFFs uploaded together, written by rasterio."""

import numpy as np
import pytest
import rasterio

from hsis_ingest.errors import HeaderMismatch, TruncatedFile, UnsupportedFormat
from tests.ingest.files import MemoryFile, file_of, opened, whole

VALUES = np.random.default_rng(5).integers(0, 9000, (4, 20, 30)).astype(np.int16)
TRANSFORM = rasterio.Affine(30, 0, 300000, 0, -30, 5800000)


@pytest.fixture
def written(tmp_path):
    def write(name, values, tags=None, dataset_tags=None, scale=None, **profile):
        profile = {
            "driver": "GTiff", "count": 1, "height": values.shape[-2], "width": values.shape[-1],
            "dtype": values.dtype, "crs": "EPSG:32633", "transform": TRANSFORM, "nodata": -1,
        } | profile  # fmt: skip
        with rasterio.open(tmp_path / name, "w", **profile) as dataset:
            dataset.write(values if values.ndim == 3 else values[None])
            dataset.update_tags(1, **(tags or {}))
            dataset.update_tags(**(dataset_tags or {}))
            if scale is not None:
                dataset.scales = (scale,)
        return file_of(tmp_path / name)

    return write


def test_wavelengths_in_tags_give_the_order(written):
    wavelengths = [0.865, 0.49, 1.61, 0.56]
    files = [
        written(f"b{n}.tif", values, {"wavelength": str(w), "wavelength_units": "um", "bbl": "1"},
                {"start_time": f"2024-05-0{n + 1}T10:00:00Z"})
        for n, (values, w) in enumerate(zip(VALUES, wavelengths, strict=True))
    ]  # fmt: skip
    source = opened([*files, MemoryFile("readme.txt", b"words")])
    info = source.info
    assert source.format_name == "GeoTIFF band stack"
    np.testing.assert_array_equal(whole(source), VALUES[[1, 3, 0, 2]])
    np.testing.assert_array_equal(
        source.read(slice(1, 3), slice(4, 9), slice(10, 30)), VALUES[[3, 0], 4:9, 10:30]
    )
    assert info.wavelengths_nm == pytest.approx((490, 560, 865, 1610))
    assert info.good_bands == (True,) * 4
    assert info.band_names == ("b1", "b3", "b0", "b2")
    assert info.transform == tuple(TRANSFORM)[:6]
    assert info.nodata == -1
    assert source.acquired_at.isoformat() == "2024-05-01T10:00:00+00:00"


@pytest.mark.parametrize(
    ("names", "order", "wavelengths"),
    [
        (["s_B10.tif", "s_B2.tif", "s_B1.tif", "s_B9.tif"], [2, 1, 3, 0], None),
        (["2024_b4.tif", "2024_b3.tif", "2024_b2.tif", "2024_b1.tif"], [3, 2, 1, 0], None),
        (
            ["r_700.5nm.tif", "r_450.0nm.tif", "r_1000.0nm.tif", "r_500.0nm.tif"],
            [1, 3, 0, 2],
            (450, 500, 700.5, 1000),
        ),
        (
            ["400 nm v1.tif", "600 nm v1.tif", "500 nm v1.tif", "450 nm v1.tif"],
            [0, 3, 2, 1],
            (400, 450, 500, 600),
        ),
    ],
)
def test_numbers_in_names_give_the_order(written, names, order, wavelengths):
    files = [written(name, values) for name, values in zip(names, VALUES, strict=True)]
    source = opened(files)
    np.testing.assert_array_equal(whole(source), VALUES[order])
    assert source.info.wavelengths_nm == wavelengths


def test_files_with_scales_of_their_own(written):
    scales = (1 / 40, 1 / 40, 1 / 80, 1 / 80)  # as of Hyperion's two detectors
    files = [
        written(f"EO1H_B{n:03}.tif", values, scale=scale)
        for n, (values, scale) in enumerate(zip(VALUES, scales, strict=True), start=1)
    ]
    source = opened(files)
    assert (source.info.scale, source.info.offset) == (scales, 0)
    np.testing.assert_array_equal(whole(source), VALUES)


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        ({"crs": "EPSG:32634"}, "b1.tif and b2.tif differ in their crs"),
        ({"transform": TRANSFORM @ rasterio.Affine.translation(1, 0)}, "differ in their transform"),
        ({"nodata": None}, r"differ in their nodata \(-1.0, None\)"),
        ({"dtype": "int32"}, "differ in their dtype"),
    ],
)
def test_different_grids_are_refused(written, profile, message):
    files = [written("b1.tif", VALUES[0]), written("b2.tif", VALUES[1], **profile)]
    with pytest.raises(HeaderMismatch, match=message):
        opened(files)
    smaller = [written("b1.tif", VALUES[0]), written("b2.tif", VALUES[1, :10])]
    with pytest.raises(HeaderMismatch, match="differ in their shape"):
        opened(smaller)


def test_nan_is_the_same_nodata(written):
    values = VALUES.astype(np.float32)
    files = [written(f"b{n}.tif", values[n], nodata=float("nan")) for n in range(2)]
    np.testing.assert_array_equal(whole(opened(files)), values[:2])


@pytest.mark.parametrize("names", [["red.tif", "green.tif"], ["b1.tif", "b01.tif"]])
def test_an_order_that_is_not_clear_is_refused(written, names):
    files = [written(name, values) for name, values in zip(names, VALUES[:2], strict=True)]
    with pytest.raises(UnsupportedFormat, match="order of these bands is not clear"):
        opened(files)


def test_cubes_of_their_own_are_refused(written):
    files = [written(f"b{n}.tif", VALUES, count=4) for n in range(2)]
    with pytest.raises(UnsupportedFormat, match="has 4 bands: it is a cube of its own"):
        opened(files)


def test_one_damaged_band_is_named(written):
    files = [written(f"b{n}.tif", VALUES[n]) for n in range(3)]
    files[1].content = files[1].content[:-50]
    with pytest.raises(TruncatedFile, match=r"b1\.tif"):
        whole(opened(files))

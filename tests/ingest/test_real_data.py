"""Every real file, bit for bit as rasterio, numpy and scipy read it."""

import numpy as np
import pytest
import rasterio
import scipy.io
import spectral

from tests.ingest.files import open_files, whole


def test_enmap(data_folder):
    paths = sorted((data_folder / "enmap_potsdam").rglob("*.tif"))
    assert len(paths) == 26
    for path in paths:
        source = open_files(path)
        with rasterio.open(path) as dataset:
            np.testing.assert_array_equal(whole(source), dataset.read())
            assert source.info.dtype == dataset.dtypes[0]
            assert source.info.nodata == dataset.nodata
            assert source.info.transform == tuple(dataset.transform)[:6]
            assert rasterio.CRS.from_wkt(source.info.crs_wkt) == dataset.crs
            if path.parent.name == "images":
                tags = [dataset.tags(band) for band in dataset.indexes]
                assert source.info.wavelengths_nm == tuple(float(t["wavelength"]) for t in tags)
                assert source.info.fwhm_nm == tuple(float(t["fwhm"]) for t in tags)
                assert source.info.good_bands == tuple(t["bbl"] == "1" for t in tags)
                assert source.info.scale == pytest.approx(1e-4)
                assert source.acquired_at.isoformat() == "2022-07-24T10:45:26+00:00"


def test_corn_kernel(data_folder, tmp_path):
    folder = data_folder / "corn_kernel"
    header = folder / "corn-kernel-hyperspectral.hdr"
    data = folder / "corn-kernel-hyperspectral.raw"
    source = open_files(header, data)
    complete = tmp_path / header.name  # spectral insists on the byte order, which the file omits
    complete.write_text(header.read_text() + "\nbyte order = 0\n")
    reference = spectral.envi.open(str(complete), str(data))
    expected = np.asarray(reference.open_memmap()).transpose(2, 0, 1)
    np.testing.assert_array_equal(whole(source), expected)
    assert source.info.shape == (580, 31, 43)
    assert source.info.dtype == np.uint16
    assert source.info.wavelengths_nm == tuple(reference.bands.centers)


def test_jasper_ridge(data_folder):
    path = data_folder / "jasper_ridge" / "jasperRidge2_R198.mat"
    values = scipy.io.loadmat(path)["Y"]
    expected = values.reshape(198, 100, 100, order="F")
    for options in ({}, {"variable": "Y"}, {"variable": "Y", "rows": 100, "columns": 100}):
        source = open_files(path, **options)
        assert source.info.dtype == values.dtype
        np.testing.assert_array_equal(whole(source), expected)

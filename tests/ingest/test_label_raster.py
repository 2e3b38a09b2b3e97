"""Class rasters of third-party writers as GeoTIFFs on a cube's grid, read back by rasterio."""

import warnings

import numpy as np
import pytest
import rasterio
import scipy.io
import spectral
from rasterio.io import MemoryFile

from hsis.cube.classes import CubeClass
from hsis.cube.layout import CubeInfo
from hsis_ingest.errors import LabelMismatch
from hsis_ingest.label_raster import label_raster
from tests.ingest.files import open_files

LABELS = np.random.default_rng(8).integers(0, 5, (30, 70)).astype(np.uint8)
INTS = LABELS.astype(int)
LEAST = float(np.finfo(np.float32).min)
TRANSFORM = (30.0, 0.0, 5e5, 0.0, -30.0, 58e5)
CUBE = CubeInfo((9, 30, 70), np.dtype(np.int16))
PLACED = CubeInfo(
    (9, 30, 70), np.dtype(np.int16),
    crs_wkt=rasterio.CRS.from_epsg(32633).to_wkt(), transform=TRANSFORM,
)  # fmt: skip


def labelled(*paths, cube=CUBE, names=None, **options):
    return label_raster(open_files(*paths, axes="yx", **options), cube, names, paths[-1].name)


def saved(folder, values, name="gt.npy"):
    np.save(folder / name, values)
    return folder / name


def counted(values):
    return dict(
        zip(*(part.tolist() for part in np.unique(values, return_counts=True)), strict=True)
    )


def read_back(raster):
    """Values, profile and tags by rasterio."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with MemoryFile(raster.content) as memory, memory.open() as dataset:
            return dataset.read(1), dataset.profile, dataset.tags(1)


def test_an_envi_classification_on_the_cubes_grid(tmp_path):
    path = tmp_path / "gt.hdr"
    spectral.envi.save_classification(
        str(path), LABELS, class_names=["Unclassified", "Corn", "Oats", "Soil", "Water"],
        class_colors=[(0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255), (9, 8, 7)],
    )  # fmt: skip
    raster = labelled(path, tmp_path / "gt.img", cube=PLACED)
    values, profile, tags = read_back(raster)
    np.testing.assert_array_equal(values, LABELS)
    assert (profile["dtype"], profile["nodata"], profile["tiled"]) == ("uint8", 0, True)
    assert profile["crs"].to_epsg() == 32633
    assert profile["transform"] == rasterio.Affine(*TRANSFORM)
    assert tags["CLASS_3"] == "Soil"
    with MemoryFile(raster.content) as memory, memory.open() as dataset:
        assert dataset.colormap(1)[4] == (9, 8, 7, 255)
    assert raster.classes[1] == CubeClass(2, "Oats", "00FF00")
    assert raster.counts == counted(LABELS)


@pytest.mark.parametrize("dtype", ["u1", ">i2", "i8", "f8"])
def test_arrays_of_matlab_and_numpy(tmp_path, dtype):
    typed = LABELS.astype(dtype)
    scipy.io.savemat(tmp_path / "gt.mat", {"indian_pines_gt": typed})
    for path in (tmp_path / "gt.mat", saved(tmp_path, typed)):
        raster = labelled(path)
        values, profile, _ = read_back(raster)
        np.testing.assert_array_equal(values, LABELS)
        assert (profile["dtype"], raster.nodata) == ("uint8", 0)
        assert [(each.value, each.title) for each in raster.classes] == [
            (value, f"Class {value}") for value in (1, 2, 3, 4)
        ]
        assert raster.counts == counted(LABELS)


def test_names_and_wide_values(tmp_path):
    named = labelled(saved(tmp_path, LABELS), names=["corn", "oats", "soil", "water", "rock"])
    assert [each.title for each in named.classes][-2:] == ["water", "rock"]
    wide = LABELS.astype(np.int32) * 1000 - 7
    raster = labelled(saved(tmp_path, wide, "wide.npy"))
    values, profile, _ = read_back(raster)
    np.testing.assert_array_equal(values, wide)
    assert profile["dtype"] == "int16"
    assert [each.value for each in raster.classes] == [-7, 993, 1993, 2993, 3993]


def test_a_geotiff_has_its_own_nodata(tmp_path):
    path = tmp_path / "gt.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=70, height=30, count=1, dtype="uint8", nodata=255,
        crs="EPSG:32633", transform=rasterio.Affine(*TRANSFORM),
    ) as dataset:  # fmt: skip
        dataset.write(np.where(LABELS == 4, 255, LABELS), 1)
    raster = labelled(path, cube=PLACED)
    assert raster.nodata == 255
    assert [each.value for each in raster.classes] == [0, 1, 2, 3]
    moved = CubeInfo(PLACED.shape, PLACED.dtype, transform=(30.0, 0.0, 5e5 + 30, 0.0, -30.0, 58e5))
    with pytest.raises(LabelMismatch, match="another grid"):
        labelled(path, cube=moved)


@pytest.mark.parametrize(
    ("values", "declared", "expected", "nodata", "classes"),
    [
        (np.where(INTS, INTS, np.nan), None, INTS, 0, [1, 2, 3, 4]),
        (np.where(INTS, INTS, LEAST), LEAST, INTS, 0, [1, 2, 3, 4]),
        (np.where(INTS, INTS, 0.5), 0.5, INTS, 0, [1, 2, 3, 4]),
        # Where 0 is beside NaN it is a class.
        (
            np.where(INTS == 4, np.nan, INTS), np.nan,
            np.where(INTS == 4, 255, INTS), 255, [0, 1, 2, 3],
        ),
        (INTS * 255, np.nan, INTS * 255, 256, [0, 255, 510, 765, 1020]),
        (
            np.where(INTS == 2, np.nan, np.where(INTS, INTS, -9999)), -9999,
            np.where((INTS == 2) | (INTS == 0), -9999, INTS), -9999, [1, 3, 4],
        ),
    ],
)  # fmt: skip
def test_floats_that_are_no_number_are_unlabelled(
    tmp_path, values, declared, expected, nodata, classes
):
    path = tmp_path / "gt.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=70, height=30, count=1, dtype="float32", nodata=declared,
        crs="EPSG:32633", transform=rasterio.Affine(*TRANSFORM),
    ) as dataset:  # fmt: skip
        dataset.write(values.astype(np.float32), 1)
    raster = labelled(path, cube=PLACED)
    stored, profile, _ = read_back(raster)
    np.testing.assert_array_equal(stored, expected)
    assert (profile["nodata"], raster.nodata) == (nodata, nodata)
    assert [each.value for each in raster.classes] == classes
    assert raster.counts == counted(expected)
    named = labelled(path, names=[f"c{value}" for value in range(1, 1021)])
    np.testing.assert_array_equal(read_back(named)[0], np.where(expected == nodata, 0, expected))


def test_the_value_for_no_data_is_no_class_beside_names(tmp_path):
    path = tmp_path / "gt.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=70, height=30, count=1, dtype="uint8", nodata=255,
        crs="EPSG:32633", transform=rasterio.Affine(*TRANSFORM),
    ) as dataset:  # fmt: skip
        dataset.write(np.where(INTS, INTS, 255).astype(np.uint8), 1)
    raster = labelled(path, cube=PLACED, names=["a", "b", "c", "d"])
    stored, profile, _ = read_back(raster)
    np.testing.assert_array_equal(stored, INTS)
    assert (profile["nodata"], raster.counts) == (0, counted(INTS))


@pytest.mark.parametrize(("shift", "fits"), [(0.2, False), (0.03, True)])
def test_a_grid_of_centimetres_is_no_metre_beside(tmp_path, shift, fits):
    """Coordinates of UTM are large, pixels of a drone's camera small."""
    cube = CubeInfo(PLACED.shape, PLACED.dtype, transform=(0.5, 0.0, 5e5, 0.0, -0.5, 58e5))
    path = tmp_path / "gt.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=70, height=30, count=1, dtype="uint8",
        transform=rasterio.Affine(0.5, 0, 5e5, 0, -0.5, 58e5 + shift),
    ) as dataset:  # fmt: skip
        dataset.write(LABELS, 1)
    if fits:
        assert labelled(path, cube=cube).nodata == 0
    else:
        with pytest.raises(LabelMismatch, match="another grid"):
            labelled(path, cube=cube)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (LABELS.T, r"has 70 rows x 30 columns; the cube has 30 x 70"),
        (LABELS + 0.5 * (LABELS == 4), r"holds 4\.5 at pixel \(3, 0\); whole numbers are right"),
        (np.where(LABELS == 4, -np.inf, LABELS), "holds -inf at pixel"),
        (LABELS + 1e12, "too large"),
        (LABELS.astype(np.int64) + 2**40, "too large"),
        (LABELS.astype(complex), "one of whole numbers"),
    ],
)
def test_what_is_no_class_map(tmp_path, values, message):
    path = saved(tmp_path, values)
    with pytest.raises(LabelMismatch, match=message):
        labelled(path)


def test_too_many_values_and_names_that_do_not_reach(tmp_path):
    cube = CubeInfo((3, 80, 80), np.dtype(np.int16))
    with pytest.raises(LabelMismatch, match="more than 4096 different values"):
        labelled(saved(tmp_path, np.arange(6400).reshape(80, 80)), cube=cube)
    with pytest.raises(LabelMismatch, match="holds the value 3; 2 class names"):
        labelled(saved(tmp_path, LABELS), names=["corn", "oats"])

"""Statistics and overviews against numpy."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hsis.cube.overview import halve
from hsis.cube.statistics import StatisticsCollector, all_valid, percentiles, valid_mask
from tests.hsis_cube.blobs import DTYPES, random_values


def collect(values: NDArray[Any], nodata: float | None, parts: int, **options: Any) -> Any:
    collector = StatisticsCollector(values.shape, values.dtype, nodata, **options)
    rows = np.array_split(np.arange(values.shape[1]), parts)
    for part in reversed([part for part in rows if part.size]):
        for band in range(0, values.shape[0], 2):
            block = values[band : band + 2, part[0] : part[-1] + 1]
            collector.add(block, band, int(part[0]), 0)
    return collector.result()


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_has_the_statistics_of_numpy(dtype: str) -> None:
    values = random_values((3, 23, 31), dtype)
    real = np.abs(values) if values.dtype.kind == "c" else values
    result = collect(values, None, 4)
    assert result.exact
    for band, found in zip(real.astype(np.float64), result.bands, strict=True):
        assert found.valid_count == band.size
        assert (found.min, found.max) == (band.min(), band.max())
        scale = np.abs(band).max()
        assert found.mean == pytest.approx(band.mean(), rel=1e-9, abs=scale * 1e-12)
        assert found.std == pytest.approx(band.std(), rel=1e-9)
        expected = np.percentile(band, [2, 98])
        assert (found.p2, found.p98) == pytest.approx(expected, rel=1e-12)


def test_nodata_nan_and_infinity_do_not_count() -> None:
    values = np.array([[[1, 2, -9, np.nan, np.inf, 5]], [[-9] * 6]], np.float32)
    first, empty = collect(values, -9.0, 1).bands
    assert (first.valid_count, first.min, first.max) == (3, 1.0, 5.0)
    assert first.mean == pytest.approx(8 / 3)
    assert (first.p2, first.p98) == pytest.approx(np.percentile([1, 2, 5], [2, 98]))
    assert (empty.band, empty.valid_count, empty.min, empty.mean, empty.p2) == (2, 0, *[None] * 3)


def test_what_a_float_cannot_hold_is_not_told() -> None:
    largest = np.finfo(np.float64).max
    values = np.array([[[largest, -largest, largest, largest]], [[1e200, -1e200, 1, 1]]])
    sums, squares = collect(values, None, 1).bands
    assert (sums.valid_count, sums.min, sums.max) == (4, -largest, largest)
    assert (sums.mean, sums.std, sums.p2, sums.p98) == (None, None, None, largest)
    assert (squares.mean, squares.std) == (0.5, None)
    assert squares.p2 == pytest.approx(np.percentile(values[1], 2))


def test_a_small_sample_is_a_regular_grid() -> None:
    values = random_values((2, 90, 70), "int32")
    result = collect(values, None, 7, sample_bytes=2 * 4 * 400)
    step = 4  # the square root of 6300 pixels over 400 affordable ones, upwards
    assert result.sampled_pixels == 23 * 18
    assert not result.exact
    for band, found in zip(values, result.bands, strict=True):
        expected = np.percentile(band[::step, ::step].astype(float), [2, 98])
        assert (found.p2, found.p98) == pytest.approx(expected)
        assert found.valid_count == band.size


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(st.integers(1, 4), st.integers(1, 40), st.integers(1, 40)),
    st.sampled_from(["int16", "uint8", "float32", "float64"]),
    st.integers(0, 1000),
)
def test_the_order_and_size_of_parts_do_not_matter(
    shape: tuple[int, int, int], dtype: str, seed: int
) -> None:
    values = random_values(shape, dtype, seed)
    whole = collect(values, 7.0, 1)
    parts = collect(values, 7.0, 5)
    for one, other in zip(whole.bands, parts.bands, strict=True):
        assert one.valid_count == other.valid_count
        assert (one.min, one.max, one.p2, one.p98) == (other.min, other.max, other.p2, other.p98)
        if one.valid_count:
            assert one.mean == pytest.approx(other.mean, rel=1e-9, abs=1e-6)
            assert one.std == pytest.approx(other.std, rel=1e-9, abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)),
    st.sampled_from(["int16", "uint8", "float32", "complex64"]),
    st.integers(0, 1000),
)
def test_halving_is_the_mean_of_the_valid_pixels(
    shape: tuple[int, int, int], dtype: str, seed: int
) -> None:
    values = random_values(shape, dtype, seed)
    nodata = 3.0
    values[np.random.default_rng(seed).random(shape) < 0.4] = nodata
    found = halve(values, nodata, categorical=False)
    bands, rows, columns = shape
    assert found.shape == (bands, (rows + 1) // 2, (columns + 1) // 2)
    assert found.dtype == values.dtype
    for b, y, x in np.ndindex(found.shape):
        window = values[b, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2].ravel()
        valid = [complex(value) for value in window if value != nodata]
        if not valid:
            assert found[b, y, x] == nodata
            continue
        mean = sum(valid) / len(valid)
        if values.dtype.kind in "iu":
            assert found[b, y, x] == round(mean.real)  # both round halves to even
        else:
            assert found[b, y, x] == pytest.approx(mean, rel=1e-5, abs=1e-4)


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)),
    st.sampled_from(["int8", "uint8", "int16", "uint16", "int32", "uint32"]),
    st.sampled_from([None, 0.5, 1e12, -7.0]),
    st.integers(0, 1000),
)
def test_halving_valid_integers_rounds_the_exact_mean(
    shape: tuple[int, int, int], dtype: str, nodata: float | None, seed: int
) -> None:
    values = random_values(shape, dtype, seed)
    values[values == -7] = 5
    found = halve(values, nodata, categorical=False)
    for b, y, x in np.ndindex(found.shape):
        window = values[b, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2].ravel().tolist()
        assert found[b, y, x] == round(Fraction(sum(window), len(window)))  # halves to even


@settings(max_examples=80, deadline=None)
@given(
    st.tuples(st.integers(1, 2), st.integers(1, 7), st.integers(1, 7)),
    st.sampled_from(["int64", "uint64"]),
    st.sampled_from([None, "lowest", "highest", "some"]),
    st.integers(0, 1000),
)
def test_halving_integers_of_64_bits_rounds_the_exact_mean(
    shape: tuple[int, int, int], dtype: str, nodata: str | None, seed: int
) -> None:
    limits = np.iinfo(dtype)
    # Few values, close to the ends and beyond what a float64 tells apart.
    choices = [limits.min, limits.min + 1, limits.max, limits.max - 1, 2**53, 2**53 + 1, 7]
    values = np.random.default_rng(seed).choice(np.array(choices, dtype), shape)
    missing = {None: None, "lowest": limits.min, "highest": limits.max, "some": 2**53}[nodata]
    found = halve(values, None if missing is None else float(missing), categorical=False)
    for b, y, x in np.ndindex(found.shape):
        window = values[b, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2].ravel().tolist()
        valid = [value for value in window if value != missing]
        expected = round(Fraction(sum(valid), len(valid))) if valid else missing
        assert found[b, y, x] == expected


def test_the_largest_integers_keep_their_mean() -> None:
    largest = np.full((1, 2, 2), 2**64 - 1, np.uint64)
    assert halve(largest, None, categorical=False).tolist() == [[[2**64 - 1]]]
    beyond = np.full((1, 3, 3), 2**53 + 1, np.int64)
    assert halve(beyond, None, categorical=False).tolist() == [[[2**53 + 1] * 2] * 2]


def test_neighbours_of_nodata_of_64_bits_are_valid() -> None:
    values = np.array([[[2**53, 2**53 + 1, 2**53 + 2]]], np.int64)
    [found] = collect(values, float(2**53), 1).bands
    assert found.valid_count == 2
    assert valid_mask(values, float(2**53)).tolist() == [[[False, True, True]]]
    assert not all_valid(values, float(2**53))
    assert all_valid(values[..., 1:], float(2**53))


def test_the_largest_integer_is_nodata_though_no_float_says_it() -> None:
    # As GDAL tells it, in a double: 2**64 stands for 2**64 - 1.
    values = np.array([2**64 - 1, 2**64 - 2, 0], np.uint64)
    assert valid_mask(values, 1.8446744073709552e19).tolist() == [False, True, True]
    assert valid_mask(values, -1.0).all()
    assert valid_mask(values, 0.5).all()
    assert valid_mask(values, float("inf")).all()


def test_nodata_of_complex_values_is_the_stored_value() -> None:
    values = np.array([[[-9999, 3 + 4j, 5, -5, 5j, np.nan]]], np.complex64)
    [found] = collect(values, -9999.0, 1).bands
    assert (found.valid_count, found.min, found.max) == (4, 5.0, 5.0)
    [found] = collect(values[..., 1:5], 5.0, 1).bands
    assert (found.valid_count, found.mean, found.p2) == (3, 5.0, 5.0)


@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, 300),
    st.sampled_from([dtype for dtype in DTYPES if not dtype.startswith("complex")]),
    st.integers(1, 2**31),
    st.integers(0, 1000),
)
def test_percentiles_are_those_of_numpy_to_the_bit(
    size: int, dtype: str, modulus: int, seed: int
) -> None:
    values = random_values((1, 1, size), dtype, seed).ravel()
    if values.dtype.kind in "iu":
        values = (values % min(modulus, np.iinfo(dtype).max)).astype(dtype)
    for percents in ([2.0, 98.0], [0.0, 37.5, 50.0, 100.0]):
        expected = np.percentile(values.astype(np.float64), percents).tolist()
        assert percentiles(values, percents) == expected


def test_halving_classes_takes_the_upper_left() -> None:
    classes = np.array([[[1, 9, 2], [9, 9, 9], [3, 9, 4]]], np.uint8)
    np.testing.assert_array_equal(halve(classes, None, categorical=True), [[[1, 2], [3, 4]]])

"""The shards made in one pass are those of the whole cube and of its halved copies."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numcodecs import blosc
from numpy.typing import NDArray

from hsis.cube import layout
from hsis.cube.classes import numbered_classes
from hsis.cube.layout import CubeInfo, Shape
from hsis.cube.overview import halve
from hsis.cube.pyramid import Pyramid
from hsis.cube.shard import encode_shard
from tests.hsis_cube.blobs import DTYPES, random_values


def windows_of(shape: Shape, steps: Shape, seed: int) -> list[tuple[slice, slice, slice]]:
    """The cube cut into windows of those sizes, shuffled."""
    cuts = [
        [slice(start, min(start + step, size)) for start in range(0, size, step)]
        for size, step in zip(shape, steps, strict=True)
    ]
    windows = [(b, y, x) for b, y, x in product(*cuts)]
    order = np.random.default_rng(seed).permutation(len(windows))
    return [windows[place] for place in order]


@pytest.fixture(autouse=True)
def _as_in_a_thread_of_the_encoders(monkeypatch: pytest.MonkeyPatch) -> None:
    """blosc compresses there by itself. In the main thread its own threads put the blocks of a
    chunk into the order in which they end."""
    monkeypatch.setattr(blosc, "use_threads", False)


def shards_by(
    pyramid: Pyramid, values: NDArray[Any], windows: list[tuple[slice, slice, slice]]
) -> dict[str, bytes]:
    """What comes out when the windows are added in turn; no shard comes out twice."""
    found: dict[str, bytes] = {}
    for window in windows:
        block = values[window]
        for part, corner in pyramid.tiles_in(window):
            for shard in pyramid.add(block[part], corner):
                assert shard.key not in found
                found[shard.key] = b"".join(shard.take_pieces())
    return found


def expected_shards(values: NDArray[Any], info: CubeInfo) -> dict[str, bytes]:
    """Every level made of the whole level above it, and cut into shards."""
    expected: dict[str, bytes] = {}
    for factor in [1, *layout.overview_factors(info.shape)]:
        if factor > 1:
            values = halve(values, info.nodata, categorical=bool(info.classes))
        shape = layout.overview_shape(info.shape, factor)
        for index in layout.shard_indices(shape):
            content = encode_shard(
                values[layout.shard_slices(shape, index)], layout.shard_shape(shape)
            )
            expected[layout.shard_key(index, factor)] = content
    return expected


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype(dtype: str) -> None:
    values = random_values((17, 300, 530), dtype)
    info = CubeInfo(values.shape, values.dtype, nodata=float(values[0, 0, 0].real))
    windows = windows_of(info.shape, (16, 128, 256), 1)
    assert shards_by(Pyramid(info), values, windows) == expected_shards(values, info)


@settings(max_examples=25, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 20), st.integers(1, 1300), st.integers(1, 1300)),
    steps=st.tuples(
        st.sampled_from([16, 48]), st.sampled_from([128, 256, 640]), st.sampled_from([128, 512])
    ),
    categorical=st.booleans(),
    seed=st.integers(0, 100),
)
def test_any_shape_and_any_order(shape: Shape, steps: Shape, categorical: bool, seed: int) -> None:
    values = random_values(shape, "uint8", seed)
    info = CubeInfo(shape, values.dtype, classes=numbered_classes(["soil"] * categorical))
    found = shards_by(Pyramid(info), values, windows_of(shape, steps, seed))
    assert found == expected_shards(values, info)


def test_bands_of_several_shards_may_be_in_one_window() -> None:
    values = random_values((250, 140, 600), "int8")  # shards of 128 bands
    info = CubeInfo(values.shape, values.dtype)
    for steps in ((250, 128, 600), (48, 256, 512)):
        windows = windows_of(info.shape, (steps[0], steps[1], steps[2]), 3)
        assert shards_by(Pyramid(info), values, windows) == expected_shards(values, info)


def test_a_shard_comes_out_with_its_last_tile() -> None:
    values = random_values((3, 256, 1024), "int16")
    pyramid = Pyramid(CubeInfo(values.shape, values.dtype))
    keys = []
    for window in windows_of(values.shape, (16, 128, 1024), 0)[::-1]:
        keys.append(sorted(shards_by(pyramid, values, [window])))
    assert keys == [[], ["cube/c/0/0/0", "cube/c/0/0/1", "overviews/2/c/0/0/0"]]

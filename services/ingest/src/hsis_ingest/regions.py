"""Cutting a cube into windows of whole shards that fit into memory, read along the file."""

import math
from collections.abc import Iterator
from itertools import product

from hsis.cube.layout import Shape, shard_shape, shard_slices

Window = tuple[slice, slice, slice]


def region_shape(shape: Shape, itemsize: int, axes: str, max_bytes: int) -> Shape:
    """The size of the windows: one shard, grown along the file's fast axes first (`axes` names
    them slowest first) by whole shards while it fits `max_bytes`. One shard is the least."""
    sizes = dict(zip("byx", shape, strict=True))
    steps = dict(zip("byx", shard_shape(shape), strict=True))
    region = {axis: min(steps[axis], sizes[axis]) for axis in "byx"}
    for axis in reversed(axes):
        others = math.prod(region[other] for other in "byx" if other != axis)
        affordable = max_bytes // (others * itemsize)
        if affordable >= sizes[axis]:
            region[axis] = sizes[axis]
        else:
            shards = max(1, affordable // steps[axis])
            region[axis] = min(sizes[axis], shards * steps[axis])
    return region["b"], region["y"], region["x"]


def plan(shape: Shape, itemsize: int, axes: str, max_bytes: int) -> list[Window]:
    """The windows in the order of the file; together they are the cube, each once."""
    region = dict(zip("byx", region_shape(shape, itemsize, axes, max_bytes), strict=True))
    sizes = dict(zip("byx", shape, strict=True))
    windows = []
    for corner in product(*(range(0, sizes[axis], region[axis]) for axis in axes)):
        at = dict(zip(axes, corner, strict=True))
        bands, rows, columns = (
            slice(at[axis], min(at[axis] + region[axis], sizes[axis])) for axis in "byx"
        )
        windows.append((bands, rows, columns))
    return windows


def shards_in(shape: Shape, window: Window) -> Iterator[tuple[Shape, Window]]:
    """The shards of a window: grid position, and the part of the window (from its corner)."""
    steps = shard_shape(shape)
    ranges = [
        range(part.start // step, math.ceil(part.stop / step))
        for part, step in zip(window, steps, strict=True)
    ]
    for b, y, x in product(*ranges):
        inside = (
            slice(part.start - whole.start, part.stop - whole.start)
            for part, whole in zip(shard_slices(shape, (b, y, x)), window, strict=True)
        )
        bands, rows, columns = inside
        yield (b, y, x), (bands, rows, columns)

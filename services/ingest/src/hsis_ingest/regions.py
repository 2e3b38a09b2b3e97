"""Cutting a cube into windows that fit into memory and are read in long pieces of the file."""

import math
from itertools import pairwise, product

from hsis.cube.layout import INNER_CHUNK, Shape, shard_shape

Window = tuple[slice, slice, slice]
SLICES = 6
"""A group of shards is read in about so many slices: one in hand, one on its way."""


def region_shape(shape: Shape, itemsize: int, axes: str, max_bytes: int) -> Shape:
    """The size of a group of shards: one, grown along the file's fast axes first (`axes` names
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
    """The windows to be read one after the other; together they are the cube, each once.

    They are slices, along the file's slowest axis and of whole inner chunks, of groups of whole
    shards: thus reads are long, and little more than a group's shards is unfinished at any time.
    The groups of some bands follow each other along a Z, so that those which share a pixel of an
    overview are near.
    """
    edges = group_edges(shape, itemsize, axes, max_bytes)
    counts = [len(along) - 1 for along in edges]
    places = sorted(product(*map(range, counts)), key=lambda at: (at[0], _along_z(at[1], at[2])))
    cut = "byx".index(axes[0])
    # The same for all groups: neighbours must be cut alike, since they share pixels of overviews.
    bands, rows, columns = map(_largest, edges)
    thickness = _slice_thickness((bands, rows, columns), itemsize, cut, max_bytes // SLICES)
    windows: list[Window] = []
    for place in places:
        whole = [range(along[at], along[at + 1]) for at, along in zip(place, edges, strict=True)]
        for start in whole[cut][::thickness]:
            parts = [slice(part.start, part.stop) for part in whole]
            parts[cut] = slice(start, min(start + thickness, whole[cut].stop))
            windows.append((parts[0], parts[1], parts[2]))
    return windows


def group_edges(shape: Shape, itemsize: int, axes: str, max_bytes: int) -> list[list[int]]:
    """Where the groups of shards begin along (band, y, x), and the ends; as `region_shape` has them
    but for thin rests, along the file's fast axes first. No group has more than `max_bytes`, or one
    shard."""
    group = region_shape(shape, itemsize, axes, max_bytes)
    edges, largest = [[0]] * 3, list(group)
    for axis in map("byx".index, reversed(axes)):
        others = math.prod(largest) // largest[axis]
        edges[axis] = _edges(shape[axis], group[axis], max_bytes // (others * itemsize))
        largest[axis] = _largest(edges[axis])
    return edges


def _largest(edges: list[int]) -> int:
    return max(stop - start for start, stop in pairwise(edges))


def _edges(size: int, step: int, most: int) -> list[int]:
    """Where the groups along an axis begin, and its end. A rest joins the group before where both
    have `most` at most: reads of thin rests cost as much as those of whole groups."""
    edges = [*range(0, size, step), size]
    if len(edges) > 2 and size - edges[-3] <= most:
        del edges[-2]
    return edges


def _slice_thickness(group: Shape, itemsize: int, cut: int, max_bytes: int) -> int:
    """How much of axis `cut` a slice of a group has: whole inner chunks, one at least."""
    others = math.prod(size for axis, size in enumerate(group) if axis != cut)
    chunk = INNER_CHUNK[cut]
    return max(1, max_bytes // (others * chunk * itemsize)) * chunk


def _along_z(row: int, column: int) -> int:
    """The place of a cell in Morton's order, a column of two cells first: where columns are split
    at all, a group is one shard high, and two such make a shard of the first overview."""
    bits = max(row, column).bit_length()
    return sum(
        (column >> bit & 1) << 2 * bit + 1 | (row >> bit & 1) << 2 * bit for bit in range(bits)
    )

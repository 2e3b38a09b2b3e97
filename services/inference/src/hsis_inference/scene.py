"""How a scene is cut into blocks: the footprints of the result's shards."""

from dataclasses import dataclass

from hsis.cube.layout import Shape, shard_indices, shard_slices


@dataclass(frozen=True, slots=True)
class Footprint:
    """Half-open intervals of rows and columns, and the place in the grid of shards."""

    rows: tuple[int, int]
    columns: tuple[int, int]
    grid: tuple[int, int]


def footprints(rows: int, columns: int) -> list[Footprint]:
    """The blocks of a scene in their order, along x first, then y.

    They are the same for a result of any number of bands: these do not change a shard's sides.
    """
    flat: Shape = (1, rows, columns)
    found: list[Footprint] = []
    for index in shard_indices(flat):
        _, y, x = shard_slices(flat, index)
        found.append(Footprint((y.start, y.stop), (x.start, x.stop), (index[1], index[2])))
    return found


def band_shards(shape: Shape, grid: tuple[int, int]) -> list[tuple[Shape, slice]]:
    """The shards of a result of that shape over one footprint: index, and which bands it holds."""
    return [
        (index, shard_slices(shape, index)[0])
        for index in shard_indices(shape)
        if index[1:] == grid
    ]

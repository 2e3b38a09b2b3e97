"""What tiles keeps of the cubes that it read."""

import asyncio
from pathlib import Path

import numpy as np

from hsis.cube.reader import StoredCube
from hsis_tiles.remembered import ENTRY_BYTES, LARGEST_SHARE, RememberedBlobs, keep_ranges
from tests.hsis_cube.blobs import FolderBlobs, random_values, stored
from tests.tiles.conftest import COLLECTION, Tiles


async def test_a_second_spectrum_beside_the_first_reads_nothing(tmp_path: Path) -> None:
    values = random_values((40, 256, 256), "int16")
    blobs = await asyncio.to_thread(stored, tmp_path, values)
    cube = await StoredCube.open(RememberedBlobs(blobs, keep_ranges(64 << 20)), "")
    np.testing.assert_array_equal(await cube.spectrum(3, 5), values[:, 5, 3])
    blobs.bytes_read.clear()
    np.testing.assert_array_equal(await cube.spectrum(100, 127), values[:, 127, 100])
    assert not blobs.bytes_read
    np.testing.assert_array_equal(await cube.spectrum(128, 127), values[:, 127, 128])
    assert blobs.bytes_read


async def test_no_more_is_kept_than_there_is_room_for(tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(bytes(range(250)) * 40)
    blobs = FolderBlobs(tmp_path)
    ranges = keep_ranges(LARGEST_SHARE * (ENTRY_BYTES + 100))
    remembered = RememberedBlobs(blobs, ranges)
    for start in [*range(30), 0]:
        content = await remembered.get_range("blob", start, 100)
        assert content == (bytes(range(250)) * 2)[start : start + 100]
    assert blobs.bytes_read == {"blob": 31 * 100}  # the first was forgotten
    await remembered.get_range("blob", 29, 100)
    assert blobs.bytes_read == {"blob": 31 * 100}
    for _ in range(2):
        await remembered.get_range("blob", 0, 101)
    assert blobs.bytes_read == {"blob": 31 * 100 + 2 * 101}  # too large to keep
    await RememberedBlobs(blobs, ranges).get_range("blob", 29, 100)
    assert blobs.bytes_read == {"blob": 32 * 100 + 2 * 101}  # another state of the item


async def test_an_item_that_was_replaced_is_read_anew(tiles: Tiles) -> None:
    for seed in (1, 2):
        values = np.random.default_rng(seed).integers(0, 9000, (20, 9, 8)).astype(np.int16)
        path = await tiles.store("replaced-after-reading", values)
        for _ in range(2):
            answer = await tiles.get(f"{path}/spectrum", params={"x": 7, "y": 3})
            assert answer.json()["values"] == values[:, 3, 7].tolist()
        await tiles.catalog.delete_item(
            COLLECTION, "replaced-after-reading", token=tiles.admin_token
        )

"""The stored cube: its layout in Zarr v3, shards, reading, statistics and pictures.

Array code only: pure and synchronous but for the reader, which awaits bytes from whatever object
with `get` and `get_range` it is given. Axis order is (band, y, x) everywhere; bands count from 0
here and from 1 in names and APIs.
"""

"""How what comes in is cut into parts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsis_ingest import receiving

MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("total", "least"),
    [(0, 5 * MIB), (64 * 1024 * MIB, 5 * MIB), (10**12, 5 * MIB), (10_000 * 5 * MIB + 1, 5 * MIB)],
)
def test_what_is_to_come_fits_in_ten_thousand_parts(total: int, least: int):
    stored_bytes = parts = 0
    while total - stored_bytes > (size := receiving.part_size(total, stored_bytes, parts, least)):
        assert size >= least
        stored_bytes, parts = stored_bytes + size, parts + 1
    assert parts + 1 <= 10_000


@given(st.lists(st.binary(max_size=9)), st.data())
def test_pieces_are_taken_in_order(pieces: list[bytes], data: st.DataObject):
    here, left = receiving.Pieces(), b"".join(pieces)
    for piece in pieces:
        here.add(piece)
    while left:
        size = data.draw(st.integers(1, len(left)))
        assert (here.size, here.all()) == (len(left), left)
        assert here.take(size) == left[:size]
        left = left[size:]
    assert (here.size, here.all()) == (0, b"")

"""Pieces of a file fetched together are the same bytes as fetched one by one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsis_ingest.errors import TruncatedFile
from hsis_ingest.formats.spans import MAX_AHEAD_BYTES, MAX_READ_BYTES, read_spans
from hsis_ingest.formats.strided import MAX_GAP_BYTES
from tests.ingest.files import MemoryFile

CONTENT = bytes(range(251)) * 40_000  # 10 MB, of a period that no power of two shares
SPAN = st.tuples(st.integers(0, 9_000_000), st.sampled_from([1, 7, 4096, 300_000, 1_000_000]))


@given(st.lists(SPAN, max_size=12))
def test_the_bytes_of_each_span_in_turn(spans):
    spans.sort()
    file = MemoryFile("x", CONTENT)
    found = list(read_spans(file, spans))
    assert found == [CONTENT[offset : offset + length] for offset, length in spans]
    assert len(file.reads) <= len(spans)
    assert all(length <= MAX_READ_BYTES for _, length in file.reads)


def test_neighbours_are_one_request_and_far_ones_are_not():
    file = MemoryFile("x", CONTENT)
    list(read_spans(file, [(0, 10), (20, 10), (1000, 50)]))
    assert file.reads == [(0, 1050)]
    file.reads.clear()
    list(read_spans(file, [(0, 10), (10 + MAX_GAP_BYTES + 1, 10)]))
    assert file.reads == [(0, 10), (11 + MAX_GAP_BYTES, 10)]


def test_large_pieces_are_fetched_when_their_turn_comes():
    file = MemoryFile("x", CONTENT)
    pieces = read_spans(file, [(0, MAX_AHEAD_BYTES + 1), (MAX_AHEAD_BYTES + 1, 5)])
    assert len(next(pieces)) == MAX_AHEAD_BYTES + 1
    assert file.reads == [(0, MAX_AHEAD_BYTES + 1)]


def test_a_span_behind_the_end_is_a_truncated_file():
    with pytest.raises(TruncatedFile, match="x ends at byte 10040000"):
        list(read_spans(MemoryFile("x", CONTENT), [(10_039_990, 20)]))

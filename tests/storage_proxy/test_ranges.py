"""Range arithmetic against a model that looks at every byte by itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsis_storage_proxy.ranges import Span, WantedRange, parse_content_range, parse_ranges

MOST = 4
small = st.integers(min_value=0, max_value=40)


def parse_range(header: str | None) -> WantedRange | None:
    """The one range that a header asks for, if any."""
    wanted = parse_ranges(header, MOST)
    assert len(wanted) <= 1
    return wanted[0] if wanted else None


def bytes_of(first: int | None, last: int | None, size: int) -> list[int]:
    """The offsets that `bytes=first-last` names, each of them decided alone (RFC 9110, 14.1.2)."""
    chosen = []
    for offset in range(size):
        if first is None:
            assert last is not None
            inside = size - offset <= last
        else:
            inside = offset >= first and (last is None or offset <= last)
        if inside:
            chosen.append(offset)
    return chosen


@given(first=small, length=st.none() | small, size=small)
def test_a_range_from_an_offset(first: int, length: int | None, size: int) -> None:
    last = None if length is None else first + length
    wanted = parse_range(f"bytes={first}-{'' if last is None else last}")
    assert wanted is not None
    span = wanted.within(size)
    expected = bytes_of(first, last, size)
    assert (list(range(span.start, span.stop)) if span else []) == expected
    assert (span is None) == (not expected)


@given(length=small, size=small)
def test_the_last_bytes(length: int, size: int) -> None:
    wanted = parse_range(f"bytes=-{length}")
    assert wanted is not None
    assert not wanted.forwardable
    span = wanted.within(size)
    assert (list(range(span.start, span.stop)) if span else []) == bytes_of(None, length, size)
    assert (span is None) == (length == 0)


@given(first=small, back=st.integers(min_value=1, max_value=40))
def test_a_range_that_ends_before_it_begins_is_ignored(first: int, back: int) -> None:
    assert parse_range(f"bytes={first + back}-{first}") is None


@given(header=st.text(max_size=30))
def test_any_text_is_a_range_or_ignored(header: str) -> None:
    if parse_ranges(header, MOST):
        assert header.strip().lower().startswith("bytes")


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "bytes=1",
        "bytes=1-2,4-5,x",
        "bytes=1-2,5-4",
        "bytes=1-2;4-5",
        "bytes=1-2,4-5,7-8,10-11,13-14",
        "bytes=1-2-3",
        "items=0-1",
        "bytes=+1-2",
        "bytes=１-２",
        "bytes=1-2;",
        "bytes=" + "9" * 5000 + "-",
    ],
)
def test_malformed_and_too_many_ranges_are_ignored(header: str | None) -> None:
    assert parse_range(header) is None


def test_spelling_and_size() -> None:
    assert parse_range("Bytes= 3-4 ") == WantedRange(3, 4)
    assert parse_range("bytes=0-0") == WantedRange(0, 0)
    enormous = parse_range("bytes=0-99999999999999999999999")
    assert enormous is not None
    assert not enormous.forwardable
    assert enormous.within(10) == Span(0, 10)


def test_content_range() -> None:
    assert parse_content_range("bytes 2-4/10") == (Span(2, 5), 10)
    for other in (
        None,
        "",
        "bytes */10",
        "bytes 2-4/*",
        "items 2-4/10",
        f"bytes 0-1/1{'0' * 4300}",
    ):
        assert parse_content_range(other) is None


@given(
    pairs=st.lists(st.tuples(st.none() | small, st.none() | small), min_size=2, max_size=6),
    blanks=st.sampled_from(["", " ", "\t", " ,, "]),
)
def test_several_ranges(pairs: list[tuple[int | None, int | None]], blanks: str) -> None:
    texts = [f"{'' if a is None else a}-{'' if b is None else b}" for a, b in pairs]
    right = all((a, b) != (None, None) and (None in (a, b) or a <= b) for a, b in pairs)
    expected = tuple(WantedRange(a, b) for a, b in pairs) if right and len(pairs) <= MOST else ()
    assert parse_ranges("bytes=" + ("," + blanks).join(texts), MOST) == expected

"""Numbers that others wrote."""

import pytest

from hsis.digits import natural


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("007", 7), ("9" * 18, 10**18 - 1)])
def test_digits_are_a_number(text: str, number: int) -> None:
    assert natural(text) == number


@pytest.mark.parametrize(
    "text", ["", "-1", "+1", " 1", "1.0", "3\u00b3", "\u0663", "9" * 19, "9" * 5000]
)
def test_anything_else_is_none(text: str) -> None:
    assert natural(text) is None

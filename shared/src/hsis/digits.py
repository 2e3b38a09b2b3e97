"""Numbers that somebody else wrote as digits."""

MAX_DIGITS = 18
"""They fit into 64 bits."""


def natural(text: str) -> int | None:
    """The number that 1 to MAX_DIGITS ASCII digits say; None for any other text.

    `str.isdigit` also lets superscripts and thousands of digits pass, which `int` refuses.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS):
        return None
    return int(text)

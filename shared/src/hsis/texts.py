"""The characters of files' texts, of which not all are UTF-8."""

_ESCAPED = {0xDC00 + byte: byte for byte in range(0x80, 0x100)}


def decoded(content: bytes) -> str:
    """The text: UTF-8, with or without its mark in front; a byte that is no UTF-8 is the character
    that it is in Latin-1, as older programs write it."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return unescaped(content.decode("utf-8-sig", "surrogateescape"))


def unescaped(text: str) -> str:
    """The text with the characters of Latin-1 for bytes that are told as half a surrogate pair
    (PEP 383)."""
    return text.translate(_ESCAPED)

"""Entity tags in the headers of conditional requests (RFC 9110, sections 8.8.3 and 13.1)."""

import re

_TAG = re.compile(r'(W/)?("[^"]*")')


def names(header: str, etag: str, *, weak: bool) -> bool:
    """Whether a list of entity tags, or `*`, names this strong one; `weak` ones count for
    If-None-Match, not for If-Match."""
    if header.strip() == "*":
        return True
    return any(tag == etag and (weak or not mark) for mark, tag in _TAG.findall(header))

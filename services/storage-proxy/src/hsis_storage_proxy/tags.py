"""What tells one state of a blob from another: its entity tag and the time of its change.

Every answer of S3 has an entity tag, but not every store has it at hand: `rclone serve s3` reads
all of an object to make one, at the first look at it and in listings too. There it is told not to,
and tags are made here.
"""

import math
import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from cachetools import TLRUCache

from hsis_storage_proxy.presigned import MTIME

REMEMBERED = 100_000
REMEMBERED_S = 60
"""So far a clock may be set back."""
_UNIX_TIME = re.compile(r"(\d{1,11})(\.\d*)?")


class EntityTags(Protocol):
    """How the tags of one object store come about."""

    def metadata(self, key: str) -> dict[str, str]:
        """What is to be kept with an object that is about to be written."""

    def of(self, answer: Mapping[str, Any], size: int) -> str | None:
        """The strong tag, in its quotes, of an object that S3 told of; None where it cannot be
        said. `answer` is botocore's, or an entry of its listing."""

    def changed(self, answer: Mapping[str, Any]) -> datetime | None:
        """When it was changed."""


class KeptTags:
    """The object store's own."""

    def metadata(self, _key: str) -> dict[str, str]:
        """Nothing."""
        return {}

    def of(self, answer: Mapping[str, Any], _size: int) -> str | None:
        """Its ETag; None where it is missing or empty."""
        tag = str(answer.get("ETag", "")).removeprefix("W/").strip('"')
        return f'"{tag}"' if tag else None

    def changed(self, answer: Mapping[str, Any]) -> datetime | None:
        """Its Last-Modified."""
        moment: datetime | None = answer.get("LastModified")
        return moment


class MadeTags:
    """Made of the second of the change and the size, as file servers make theirs.

    The second is given to an object with its bytes, as metadata `mtime`, which rclone makes the
    time of its file: Last-Modified tells it once rclone was started anew and has forgotten the
    metadata. Two states of a key never get the same second from this process: the later one takes
    the next, should this one be taken. Other processes that write the same key in the same second
    are not seen.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        # A second that is over for long is free of collisions, and so forgotten.
        self._given: TLRUCache[str, int] = TLRUCache(
            REMEMBERED, lambda _key, second, _now: second + REMEMBERED_S, clock
        )

    def metadata(self, key: str) -> dict[str, str]:
        """The second that an object written now counts as changed in."""
        second = max(math.floor(self._clock()), self._given.get(key, -1) + 1)
        self._given[key] = second
        return {MTIME: str(second)}

    def of(self, answer: Mapping[str, Any], size: int) -> str | None:
        """The tag; None where S3 told no time."""
        second = _second(answer)
        return None if second is None else f'"{second:x}-{size:x}"'

    def changed(self, answer: Mapping[str, Any]) -> datetime | None:
        """That second."""
        second = _second(answer)
        return None if second is None else datetime.fromtimestamp(second, UTC)


def _second(answer: Mapping[str, Any]) -> int | None:
    given = _UNIX_TIME.fullmatch(answer.get("Metadata", {}).get(MTIME) or "")
    if given is not None:
        return int(given[1])
    moment: datetime | None = answer.get("LastModified")
    return None if moment is None else math.floor(moment.timestamp())

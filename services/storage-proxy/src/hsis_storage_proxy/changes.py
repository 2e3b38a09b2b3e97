"""Reads of a key at the time in which this process changes it. Other processes are not seen."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class Reading:
    """One read, from before the object store is asked until it has answered."""

    __slots__ = ("disturbed",)

    def __init__(self, *, disturbed: bool) -> None:
        self.disturbed = disturbed
        """Whether the key was being changed meanwhile: `rclone serve s3` tells the metadata of the
        object before with the bytes of the new one then, for a moment."""


class Changes:
    """Knows which keys are being changed and which are being read."""

    def __init__(self) -> None:
        self._running: Counter[str] = Counter()
        self._reads: dict[str, set[Reading]] = {}

    @contextmanager
    def changing(self, key: str) -> Iterator[None]:
        """Disturbs the reads of the key, those that begin in this time too."""
        self._running[key] += 1
        for reading in self._reads.get(key, ()):
            reading.disturbed = True
        try:
            yield
        finally:
            self._running[key] -= 1
            if not self._running[key]:
                del self._running[key]

    @contextmanager
    def reading(self, key: str) -> Iterator[Reading]:
        """A read, which tells at its end whether it was disturbed."""
        reading = Reading(disturbed=key in self._running)
        others = self._reads.setdefault(key, set())
        others.add(reading)
        try:
            yield reading
        finally:
            others.remove(reading)
            if not others:
                del self._reads[key]

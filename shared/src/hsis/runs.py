"""Bytes that are received in one piece and belong into memory without the gaps between them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Runs:
    """Room for runs of `run_bytes` each, which follow each other in `target` (of bytes). Where they
    come from, `gap` bytes that nobody wants lie between two of them."""

    target: memoryview
    run_bytes: int
    gap: int = 0

    @classmethod
    def of(cls, target: memoryview) -> "Runs":
        """One run."""
        return cls(target, len(target))

    @property
    def length(self) -> int:
        """How many bytes are to come, those of the gaps included."""
        runs = len(self.target) // max(1, self.run_bytes)
        return len(self.target) + max(0, runs - 1) * self.gap

    def put(self, position: int, received: bytes | memoryview) -> None:
        """Take in bytes from `position` of what is to come; those behind its end are left out."""
        piece = memoryview(received)[: max(0, self.length - position)]
        while piece:
            run, within = divmod(position, self.run_bytes + self.gap)
            if within < self.run_bytes:
                count = min(len(piece), self.run_bytes - within)
                at = run * self.run_bytes + within
                self.target[at : at + count] = piece[:count]
            else:
                count = self.run_bytes + self.gap - within
            piece = piece[count:]
            position += count

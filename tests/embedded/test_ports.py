"""Ports for programs that are still to start."""

import subprocess
import sys
from contextlib import suppress

import pytest

from hsis_embedded import readiness

GIVEN = """
from hsis_embedded import readiness
readiness.PORTS = {ports!r}
print(readiness.free_port(), flush=True)
input()
"""


def test_no_port_is_given_to_two_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    first = readiness.free_port()
    few = range(first, first + 10)  # some may be another's: none of all is given twice
    code = GIVEN.format(ports=few)
    command = [sys.executable, "-c", code]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        theirs = int(other.stdout.readline())
        monkeypatch.setattr(readiness, "PORTS", few)
        ours = set()
        with suppress(RuntimeError):
            while True:
                ours.add(readiness.free_port())
        with pytest.raises(RuntimeError, match=f"from {first} to {first + 9} is free"):
            readiness.free_port()
        other.communicate("\n")
    assert other.returncode == 0
    assert theirs in few
    assert ours
    assert ours <= set(few) - {first, theirs}

"""Ports for programs that are still to start."""

import subprocess
import sys

import pytest

from hsis_embedded import readiness

FEW = range(14_980, 15_000)
GIVEN = """
from hsis_embedded import readiness
readiness.PORTS = {ports!r}
print(readiness.free_port(), flush=True)
input()
"""


def test_no_port_is_given_to_two_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    code = GIVEN.format(ports=FEW)
    command = [sys.executable, "-c", code]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        theirs = int(other.stdout.readline())
        monkeypatch.setattr(readiness, "PORTS", FEW)
        ours = {readiness.free_port() for _ in range(len(FEW) - 1)}
        other.communicate("\n")
    assert other.returncode == 0
    assert ours | {theirs} == set(FEW)
    assert theirs not in ours

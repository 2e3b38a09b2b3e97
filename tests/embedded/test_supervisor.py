"""Starting in order of readiness, and ending together."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from hsis_embedded.supervisor import Program, StartFailed, Supervisor, dying_with

SLEEP = [sys.executable, "-c", "import time; time.sleep(3600)"]


async def at_once() -> bool:
    return True


def gone(pid: int) -> bool:
    """Whether the process does not run any more (a zombie does not)."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def test_a_program_that_is_not_ready_holds_up_the_next(tmp_path: Path) -> None:
    mark = tmp_path / "mark"

    async def marked() -> bool:
        return mark.exists()

    slow = [
        sys.executable,
        "-c",
        f"import time; time.sleep(.3); open({str(mark)!r}, 'w'); time.sleep(3600)",
    ]
    with Supervisor(tmp_path) as supervisor:
        await supervisor.start(Program("slow", slow, {}, marked))
        assert mark.exists()


async def test_stop_ends_every_process(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        await supervisor.start(*(Program(name, SLEEP, {}, at_once) for name in ("a", "b")))
        pids = [supervisor.pid("a"), supervisor.pid("b")]
        assert not any(map(gone, pids))
    assert all(map(gone, pids))


async def test_a_program_has_its_own_environment_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OF_THE_PARENT", "secret")
    with Supervisor(tmp_path) as supervisor:
        await supervisor.start(Program("a", SLEEP, {"GIVEN": "1"}, at_once))
        async with asyncio.timeout(60):
            while (program := psutil.Process(supervisor.pid("a"))).cmdline() != SLEEP:
                await asyncio.sleep(0.01)  # what starts it is still there
        known = program.environ()
    assert known["GIVEN"] == "1"
    assert {name for name in known if name != "mirakuru_uuid"} <= {"GIVEN", "LC_CTYPE"}


async def test_the_death_of_one_is_told_by_name(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        await supervisor.start(*(Program(name, SLEEP, {}, at_once) for name in ("a", "b")))
        os.kill(supervisor.pid("b"), signal.SIGKILL)
        assert await asyncio.wait_for(supervisor.first_death(), 60) == "b"


async def test_a_program_that_ends_while_starting_is_named_with_its_log(tmp_path: Path) -> None:
    async def never() -> bool:
        return False

    with Supervisor(tmp_path) as supervisor:
        with pytest.raises(StartFailed, match=r"broken ended while starting.*broken\.log"):
            await supervisor.start(Program("broken", [sys.executable, "-c", "1/0"], {}, never))
    assert "ZeroDivisionError" in (tmp_path / "broken.log").read_text()


async def test_children_die_with_a_killed_supervisor(tmp_path: Path) -> None:
    code = f"""
import asyncio, pathlib, sys
from hsis_embedded.supervisor import Program, Supervisor
async def ready(): return True
async def main():
    s = Supervisor(pathlib.Path({str(tmp_path)!r}))
    child = [sys.executable, "-c", "import time; time.sleep(3600)"]
    await s.start(Program("child", child, {{}}, ready))
    print(s.pid("child"), flush=True)
    await asyncio.sleep(3600)
asyncio.run(main())
"""
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    async with asyncio.timeout(60):  # setpriv has set the death signal once it is the child itself
        while psutil.Process(child).cmdline()[:1] != [sys.executable]:
            await asyncio.sleep(0.01)
    assert not gone(child)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    async with asyncio.timeout(60):
        while not gone(child):
            await asyncio.sleep(0.05)


def test_a_child_whose_supervisor_died_before_does_not_begin(tmp_path: Path) -> None:
    """As one that was killed between its fork and the child's wish for a death signal."""
    for parent, begins in ((os.getpid(), True), (os.getppid(), False)):
        mark = tmp_path / str(parent)
        setpriv = ["setpriv", "--no-new-privs", "touch", str(mark)]
        command = dying_with(parent, setpriv, signal.SIGTERM)
        assert (subprocess.run(command, check=False).returncode == 0) is begins
        assert mark.exists() is begins


async def test_a_supervisor_that_ends_leaves_the_processes_of_others(tmp_path: Path) -> None:
    code = "import os, sys, hsis_embedded.supervisor; print(os.getpid(), flush=True); input()"
    ending = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert ending.stdout is not None
    number = ending.stdout.readline().strip()
    # As mirakuru marks the children of another installation; the number stands there by chance.
    mark = f"1:00000000-0000-4000-8000-0{number:0>6}00000"
    other = subprocess.Popen(SLEEP, env={**os.environ, "mirakuru_uuid": mark})
    try:
        ending.communicate("\n")
        assert ending.returncode == 0
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()

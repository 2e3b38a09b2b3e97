"""First starts that go wrong, and what an interrupted one leaves behind."""

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from hsis_embedded.__main__ import main
from hsis_embedded.object_store import ObjectStore
from hsis_embedded.postgres import Postgres
from hsis_embedded.readiness import answers_sql, free_port


def test_an_interrupted_initdb_leaves_no_half_cluster(tmp_path: Path) -> None:
    code = f"""
import subprocess, time
from pathlib import Path
from hsis_embedded.postgres import Postgres
run = subprocess.run
def interrupted(*words, **more):  # before its end, however late the test comes to it
    run(*words, **more)
    time.sleep(3600)
subprocess.run = interrupted
Postgres(Path({str(tmp_path / "data")!r}), 1, "p").initialise()
"""
    made = tmp_path / "data.new"
    process = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    deadline = time.monotonic() + 120
    while not (made / "PG_VERSION").exists():
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "data").exists()
    Postgres(tmp_path / "data", free_port(), "p").initialise()
    assert not made.exists()
    assert (tmp_path / "data" / "PG_VERSION").read_text().strip() == "18"
    # Written last, when template1 is whole and copied.
    assert len([*(tmp_path / "data" / "base").iterdir()]) == 3
    assert not (tmp_path / "postgres.password").exists()


def test_unfinished_objects_of_before_are_removed(tmp_path: Path) -> None:
    store = ObjectStore(tmp_path / "objects", 1, "access", "secret")
    store.initialise()
    folder = store.folder / "hsis" / "raw"
    for name in ("a", ".rclone_temp_old", ".rclone_temp_new", ".rclone_multipart_upload_1/part"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
        os.utime(folder / name, (1000, 1000))
    os.utime(folder / ".rclone_multipart_upload_1", (1000, 1000))
    os.utime(folder / ".rclone_temp_new", (2000, 2000))  # of an upload that goes on now
    store.remove_unfinished(2000)
    assert {path.name for path in folder.iterdir()} == {"a", ".rclone_temp_new"}


def test_the_first_password_is_told_though_the_start_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HSIS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(sys, "argv", ["hsis_embedded"])
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setenv("HSIS_PORT", str(taken.getsockname()[1]))
        assert main([]) == 1
        first = capsys.readouterr().out.splitlines()
        assert main([]) == 1
        second = capsys.readouterr().out.splitlines()
    password = (tmp_path / "home" / "secrets" / "admin_password").read_text()
    assert first[0] == f"First user: admin, password: {password}"
    assert first[1].startswith("HSIS cannot start: Port ")
    assert second == first[1:]


def test_a_home_that_cannot_be_is_told_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("HSIS_HOME", str(tmp_path / "file" / "home"))
    monkeypatch.setattr(sys, "argv", ["hsis_embedded"])
    assert main([]) == 1
    [line] = capsys.readouterr().out.splitlines()
    assert line.startswith("HSIS cannot start: ")
    assert str(tmp_path / "file" / "home") in line


async def test_a_database_of_other_secrets_is_told_as_such(postgres: Postgres) -> None:
    assert await answers_sql(postgres)
    with pytest.raises(RuntimeError, match="another password"):
        await answers_sql(replace(postgres, password="lost"))


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["--help"], 0, ("HSIS_PORT", "HSIS_HOME", "HSIS_ADMIN_PASSWORD", "{demo}")),
        (["demmo"], 2, ("usage: python -m hsis_embedded", "invalid choice: 'demmo'")),
        (["demo", "--port=1"], 2, ("unrecognized arguments: --port=1",)),
    ],
)
def test_arguments_are_told_and_start_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    status: int,
    told: tuple[str, ...],
) -> None:
    monkeypatch.setenv("HSIS_HOME", str(tmp_path / "home"))
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == status
    output = capsys.readouterr()
    assert all(words in (output.err if status else output.out) for words in told)
    assert not (tmp_path / "home").exists()

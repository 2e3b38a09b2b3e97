"""Errors of the command line: one line on stderr and an exit code, never a traceback."""

import asyncio
import errno
import http.server
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from hsis.cli.main import app
from hsis.cli.session import Session, execute
from hsis.clients.fetching import partial_file
from hsis.credentials import Connection
from hsis_embedded.readiness import free_port


@pytest.fixture(autouse=True)
def _own_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("HSIS_TOKEN", raising=False)
    monkeypatch.setenv("HSIS_URL", f"http://127.0.0.1:{free_port()}")


class _OtherSite(http.server.BaseHTTPRequestHandler):
    """A server that is no HSIS."""

    def do_DELETE(self) -> None:
        self.send_response(308)
        self.send_header("Location", "https://lab.example" + self.path)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", "6")
        self.end_headers()
        self.wfile.write(b"<html>")

    def log_message(self, format: str, *args: object) -> None:
        return None


@pytest.fixture
def other_site() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _OtherSite) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def fails(*arguments: object, code: int) -> str:
    """What a command that must fail prints to stderr."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    assert result.stdout == ""
    return str(result.stderr)


def test_nothing_answers() -> None:
    said = fails("collections", code=1)
    assert said.count("\n") == 1
    assert "got no answer" in said
    assert "Is HSIS running at http://127.0.0.1:" in said


def test_something_else_answers(other_site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HSIS_URL", other_site)
    said = fails("collections", code=1)
    assert said == f"Error: What {other_site} answered is not of HSIS. Is the URL right?\n"


@pytest.mark.parametrize("command", [("delete", "c", "i"), ("trash", "purge", "c", "--all")])
def test_nothing_was_done_where_a_server_leads_elsewhere(
    other_site: str, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.setenv("HSIS_URL", other_site)
    assert "is redirected to https://lab.example/stac/" in fails(*command, code=1)


def test_a_reader_of_stdout_that_has_enough_is_no_error() -> None:
    async def print_to_it(_: Session) -> None:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    command = typer.Typer()
    command.command()(lambda: execute(print_to_it, Connection("http://127.0.0.1", None)))
    result = CliRunner().invoke(command, [])
    assert (result.exit_code, result.stderr) == (1, "")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_nothing_half_done_is_left_where_a_signal_ends_it(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    async def fetch(_: Session) -> None:
        with partial_file(tmp_path, "cube.npy") as path:
            path.write_bytes(b"half")
            os.kill(os.getpid(), number)
            await asyncio.sleep(5)

    command = typer.Typer()
    command.command()(lambda: execute(fetch, Connection("http://127.0.0.1", None)))
    result = CliRunner().invoke(command, [])
    assert (result.exit_code, list(tmp_path.iterdir())) == (code, [])
    assert signal.getsignal(number) is signal.SIG_DFL


def test_a_url_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HSIS_URL", "lab")
    assert "'lab' is no URL of an HSIS" in fails("collections", code=1)
    assert "'lab' is no URL of an HSIS" in fails("login", "--password", "x", code=2)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert "does not exist" in fails("upload", tmp_path / "a.npy", "--collection", "c", code=2)


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--collection", "no spaces", "collection 'no spaces'"),
        ("--id", "../escape", "id '../escape'"),
        ("--axes", "zyx", "axes 'zyx'"),
        ("--rows", "0", "--rows"),
    ],
)
def test_an_option_that_cannot_be(tmp_path: Path, option: str, value: str, says: str) -> None:
    (tmp_path / "a.npy").touch()
    given = {"--collection": "c"} | {option: value}
    options = [part for pair in given.items() for part in pair]
    assert says in fails("upload", tmp_path / "a.npy", *options, code=2)


def test_a_parameter_that_cannot_be() -> None:
    assert "name=value is right" in fails("run", "rx", "c", "i", "-p", "threshold", code=2)


@pytest.mark.parametrize("limit", ["much", "-1", str(2**62 + 1), "9" * 5000])
def test_a_quota_that_cannot_be(limit: str) -> None:
    said = fails("quota", "c", f"--set={limit}", code=2)
    assert "a number of bytes up to 4611686018427387904, or `none`, is right" in said


def test_a_collection_that_cannot_be() -> None:
    said = fails("scrub", "--collection", "no spaces", code=2)
    assert said.startswith("Error: collection 'no spaces': ")


def test_a_bbox_that_cannot_be() -> None:
    assert "west,south,east,north" in fails("search", "--bbox", "1,2,3", code=2)


def test_a_pixel_that_cannot_be() -> None:
    assert "x" in fails("spectrum", "c", "i", "--", "-1", "0", code=2)

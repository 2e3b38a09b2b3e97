"""Where the URL and the token come from."""

import json
import stat
from pathlib import Path

import pytest

from hsis.credentials import (
    DEFAULT_URL,
    Connection,
    StoredCredentials,
    connection,
    credentials_path,
    save_credentials,
)
from hsis.errors import InvalidInput

STORED = StoredCredentials(url="https://lab.example", token="stored-token")


@pytest.fixture(autouse=True)
def _own_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("HSIS_URL", raising=False)
    monkeypatch.delenv("HSIS_TOKEN", raising=False)


def test_the_file_is_the_owners_only(tmp_path: Path) -> None:
    path = save_credentials(STORED)
    assert path == tmp_path / "config" / "hsis" / "credentials.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert json.loads(path.read_text()) == {"url": "https://lab.example", "token": "stored-token"}
    assert [each.name for each in path.parent.iterdir()] == ["credentials.json"]


def test_a_login_replaces_a_file_that_others_could_read() -> None:
    path = save_credentials(STORED)
    path.chmod(0o644)
    save_credentials(STORED)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_without_anything_it_is_this_machine() -> None:
    assert connection() == Connection(DEFAULT_URL, None)


def test_what_is_stored_is_used() -> None:
    save_credentials(STORED)
    assert connection() == Connection("https://lab.example", "stored-token")


def test_the_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    save_credentials(STORED)
    monkeypatch.setenv("HSIS_TOKEN", "other-token")
    assert connection() == Connection("https://lab.example", "other-token")
    monkeypatch.setenv("HSIS_URL", "http://other.example:8080/")
    assert connection() == Connection("http://other.example:8080", "other-token")


def test_what_is_given_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HSIS_URL", "http://other.example")
    monkeypatch.setenv("HSIS_TOKEN", "other-token")
    assert connection("http://given.example", "t") == Connection("http://given.example", "t")


def test_a_token_read_from_a_file_has_a_line_break(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HSIS_TOKEN", "other-token\r\n")
    assert connection() == Connection(DEFAULT_URL, "other-token")
    monkeypatch.setenv("HSIS_TOKEN", "\n")
    assert connection() == Connection(DEFAULT_URL, None)


@pytest.mark.parametrize("token", ["tok\u00e9n", "two tokens", "one\nother", "nul\0"])
def test_a_token_that_is_none_is_told(token: str) -> None:
    with pytest.raises(InvalidInput, match="characters that no token of HSIS has"):
        connection("http://lab", token)


def test_a_stored_token_goes_to_its_own_url_only(monkeypatch: pytest.MonkeyPatch) -> None:
    save_credentials(STORED)
    monkeypatch.setenv("HSIS_URL", "https://elsewhere.example")
    assert connection() == Connection("https://elsewhere.example", None)
    monkeypatch.setenv("HSIS_URL", "https://lab.example/")
    assert connection() == Connection("https://lab.example", "stored-token")


def test_a_damaged_file_is_told() -> None:
    save_credentials(STORED)
    credentials_path().write_text("{")
    with pytest.raises(InvalidInput, match="is damaged"):
        connection()


def test_a_file_that_is_not_to_be_read_or_written_is_told() -> None:
    credentials_path().mkdir(parents=True)
    with pytest.raises(InvalidInput, match="json cannot be read: Is a directory"):
        connection()
    with pytest.raises(InvalidInput, match="json cannot be written: Is a directory"):
        save_credentials(STORED)
    assert [each.name for each in credentials_path().parent.iterdir()] == ["credentials.json"]


@pytest.mark.parametrize("url", ["lab.example", "ftp://lab.example", "http://", "http://a:b"])
def test_a_url_that_is_none_is_told(url: str) -> None:
    with pytest.raises(InvalidInput, match="no URL of an HSIS"):
        connection(url)


@pytest.mark.parametrize(
    ("url", "through"),
    [
        ("https://lab.example", True),
        ("http://10.0.0.8:8080", True),
        ("http://127.0.0.1:8080", False),
        ("http://127.9.9.9", False),
        ("http://[::1]:8080", False),
        ("http://localhost:8080", False),
        ("http://hsis.localhost", False),
    ],
)
def test_a_proxy_is_for_other_machines(url: str, through: bool) -> None:
    assert Connection(url, None).through_proxy is through

"""Settings from the YAML file: which value counts, and what is said of a wrong key."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from hsis.service.config_file import ConfigError
from hsis_tiles.settings import Settings
from hsis_web.settings import Settings as WebSettings


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Writes the file that HSIS_CONFIG names, and a secret that the file cannot know."""
    monkeypatch.setenv("HSIS_CONFIG", str(tmp_path / "hsis.yaml"))
    monkeypatch.setenv("HSIS_TOKEN_PUBLIC_KEY", "pem")

    def write(text: str) -> None:
        (tmp_path / "hsis.yaml").write_text(text, encoding="utf-8")

    return write


def test_the_services_section_over_all_and_the_environment_over_both(write, monkeypatch) -> None:
    write("all: {log_level: DEBUG, access_cache_s: 1}\ntiles: {access_cache_s: 2}\n")
    assert Settings().log_level == "DEBUG"
    assert Settings().access_cache_s == 2
    assert WebSettings().access_cache_s == 1
    monkeypatch.setenv("HSIS_ACCESS_CACHE_S", "3")
    assert Settings().access_cache_s == 3


def test_a_database_setting_for_all_does_not_hurt_a_service_without_one(write) -> None:
    write("all: {database_host: db.example}")
    assert Settings().catalog_url == "http://catalog:8000"


def test_an_empty_file_sets_nothing(write) -> None:
    write("# nothing yet\n")
    assert Settings().reader_threads == 4


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tiles: {reader_thread: 2}", ("tiles.reader_thread", "reader_threads")),
        ("all: {reader_threads: 2}", ("all.reader_threads",)),
        ("tile: {reader_threads: 2}", ("'tile'", "'tiles'", "storage-proxy")),
        ("- a\n- b", ("sections",)),
        ("tiles: 5", ("tiles", "setting: value")),
        ("tiles: [", ("YAML",)),
    ],
)
def test_a_wrong_key_is_named(write, text: str, words: tuple[str, ...]) -> None:
    write(text)
    with pytest.raises(ConfigError) as caught:
        Settings()
    for word in (*words, "hsis.yaml"):
        assert word in str(caught.value)


def test_a_wrong_value_is_named(write) -> None:
    write("tiles: {reader_threads: none}")
    with pytest.raises(ValidationError, match="reader_threads"):
        Settings()


def test_a_missing_file_is_named(write) -> None:
    with pytest.raises(ConfigError, match=r"hsis\.yaml cannot be read"):
        Settings()

"""`-p name=value`."""

from pathlib import Path

import pytest

from hsis.cli.parameters import parse_parameters
from hsis.errors import InvalidInput


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("k=3", 3),
        ("k=-0.5", -0.5),
        ("k=true", True),
        ("k=null", None),
        ('k=["corn", 1]', ["corn", 1]),
        ('k={"a": 1}', {"a": 1}),
        ("k=corn", "corn"),
        ('k="3"', "3"),
        ("k=", ""),
        ("k=a=b", "a=b"),
        ("k=NaN", "NaN"),
        ("k=Infinity", "Infinity"),
        ('k="@home"', "@home"),
    ],
)
def test_a_value_is_json_or_else_a_string(text: str, value: object) -> None:
    assert parse_parameters([text]) == {"k": value}


def test_a_value_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "endmembers.json").write_text('[{"name": "soil", "values": [0.1, 0.2]}]')
    found = parse_parameters([f"endmembers=@{tmp_path}/endmembers.json", "threshold=0.1"])
    assert found == {"endmembers": [{"name": "soil", "values": [0.1, 0.2]}], "threshold": 0.1}


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (["threshold"], "name=value is right"),
        (["=3"], "name=value is right"),
        (["k=1", "k=2"], "given twice"),
        (["collection=other"], "by the arguments"),
        (["item=other"], "by the arguments"),
        (["k=@absent.json"], "absent.json cannot be read: No such file"),
    ],
)
def test_what_cannot_be_is_told(texts: list[str], says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        parse_parameters(texts)


@pytest.mark.parametrize("content", [b"{", b"[NaN]", b"\xff\xfe"])
def test_a_file_that_is_no_json_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.json").write_bytes(content)
    with pytest.raises(InvalidInput, match=r"bad\.json is no JSON"):
        parse_parameters([f"k=@{tmp_path}/bad.json"])

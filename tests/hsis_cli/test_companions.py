"""The ENVI header beside a data file, and the other way round."""

from pathlib import Path

import pytest

from hsis.cli.companions import with_companions, with_references
from hsis.errors import InvalidInput


@pytest.mark.parametrize(
    ("present", "given", "sent"),
    [
        (["a.hdr", "a.raw"], ["a.raw"], ["a.raw", "a.hdr"]),
        (["a.hdr", "a.raw"], ["a.hdr"], ["a.hdr", "a.raw"]),
        (["a.HDR", "a.RAW"], ["a.RAW"], ["a.RAW", "a.HDR"]),
        (["a.raw.hdr", "a.raw"], ["a.raw"], ["a.raw", "a.raw.hdr"]),
        (["a.raw.hdr", "a.raw"], ["a.raw.hdr"], ["a.raw.hdr", "a.raw"]),
        (["a.hdr", "a"], ["a"], ["a", "a.hdr"]),
        (["a.hdr", "a"], ["a.hdr"], ["a.hdr", "a"]),
        (["a.hdr", "a.raw", "a.txt", "b.raw"], ["a.hdr"], ["a.hdr", "a.raw"]),
        (["a.hdr", "a.raw", "a.img"], ["a.hdr"], ["a.hdr"]),
        (["a.hdr", "a.raw", "a.img"], ["a.hdr", "a.img"], ["a.hdr", "a.img"]),
        (["a.hdr", "a.raw", "a.raw.hdr"], ["a.raw"], ["a.raw"]),
        (["a.hdr", "a.raw", "a.raw.hdr"], ["a.raw", "a.hdr"], ["a.raw", "a.hdr"]),
        (["a.hdr", "a.raw"], ["a.raw", "a.hdr"], ["a.raw", "a.hdr"]),
        (["a.hdr", "a.tif"], ["a.tif"], ["a.tif"]),
        (["a.raw"], ["a.raw"], ["a.raw"]),
    ],
)
def test_what_is_added(
    tmp_path: Path, present: list[str], given: list[str], sent: list[str]
) -> None:
    for name in present:
        (tmp_path / name).touch()
    found = with_companions([tmp_path / name for name in given])
    assert [path.name for path in found] == sent


def test_relative_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.hdr").touch()
    (tmp_path / "a.raw").touch()
    monkeypatch.chdir(tmp_path)
    assert [path.name for path in with_companions([Path("a.raw")])] == ["a.raw", "a.hdr"]
    assert len(with_companions([Path("a.raw"), tmp_path / "a.hdr"])) == 2


def test_a_folder_is_no_data_file(tmp_path: Path) -> None:
    (tmp_path / "a.hdr").touch()
    (tmp_path / "a").mkdir()
    assert with_companions([tmp_path / "a.hdr"]) == [tmp_path / "a.hdr"]


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    files = [tmp_path / "a.npy", tmp_path / "other" / "a.npy"]
    for path in files:
        path.touch()
    with pytest.raises(InvalidInput, match="the same name"):
        with_companions(files)


def test_references_of_a_scene(tmp_path: Path) -> None:
    names = ["leaf.raw", "leaf.hdr", "DARKREF_leaf.raw", "DarkRef_leaf.hdr", "WHITEREF_leaf.raw"]
    for name in [*names, "WHITEREF_other.raw", "leaf.png"]:
        (tmp_path / name).touch()
    found = with_references(with_companions([tmp_path / "leaf.raw"]))
    assert sorted(path.name for path in found) == sorted(names)
    assert with_references(found) == found

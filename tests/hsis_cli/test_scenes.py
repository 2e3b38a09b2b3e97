"""Which files of a folder make a scene, and what its item is called."""

import time
from pathlib import Path, PurePosixPath

import pytest

from hsis.cli.folder import folder_in, scenes_in
from hsis.contracts.scenes import scene_ids, scenes_of
from hsis.errors import InvalidInput

ENMAP = "ENMAP01-____L2A-DT0001_20240101T000000Z_001_V010400_20240102T000000Z-"
ENMAP_ENDS = ("METADATA.XML", "SPECTRAL_IMAGE.TIF", "QL_VNIR.TIF", "HISTORY.XML")
HYPERION = "EO1H0380342005105110KF"
HYPERION_ENDS = ("_MTL_L1T.TXT", "_B001_L1T.TIF", "_B242_L1T.TIF", "x.tif", ".fgdc.txt")
CAPTURE = ["DARKREF_c.raw", "DARKREF_c.hdr", "WHITEREF_c.raw", "WHITEREF_c.hdr"]


@pytest.mark.parametrize(
    ("names", "scenes"),
    [
        (["a.hdr", "a.raw"], [["a.raw", "a.hdr"]]),
        (["a.raw.hdr", "a.raw", "b.HDR", "b.IMG"], [["a.raw", "a.raw.hdr"], ["b.IMG", "b.HDR"]]),
        (["a/s.hdr", "a/s", "b/s.hdr", "b/s"], [["a/s", "a/s.hdr"], ["b/s", "b/s.hdr"]]),
        (["a/s.hdr", "b/s.raw"], [["a/s.hdr"], ["b/s.raw"]]),
        (["x.mat", "x.png", "README", "a.txt", "x.tif.aux.xml", "y.h5"], [["x.mat"], ["y.h5"]]),
        ([".hidden.npy", "__MACOSX/a.npy", ".git/a.npy", "a.npy"], [["a.npy"]]),
        (
            ["c.raw", "c.hdr", *CAPTURE],
            [["c.raw", "c.hdr", *CAPTURE]],
        ),
        (
            [ENMAP + end for end in ENMAP_ENDS],
            [[ENMAP + "SPECTRAL_IMAGE.TIF", ENMAP + "METADATA.XML"]],
        ),
        (
            [HYPERION + end for end in HYPERION_ENDS],
            [[HYPERION + end for end in HYPERION_ENDS[:3]], [HYPERION + "x.tif"]],
        ),
        (["EO1H1_B001_L1T.TIF", "EO1A1_MTL_L1T.TXT"], [["EO1H1_B001_L1T.TIF"]]),
        (["a.hdr", "a.raw.hdr", "a.raw"], [["a.raw", "a.raw.hdr"]]),
        (
            ["a.hdr", "a.raw.hdr", "a.raw", "a.img"],
            [["a.raw", "a.raw.hdr"], ["a.img", "a.hdr"]],
        ),
        ([], []),
    ],
)  # fmt: skip
def test_scenes(names: list[str], scenes: list[list[str]]) -> None:
    found, beside = scenes_of([PurePosixPath(name) for name in names])
    assert sorted([str(path) for path in scene] for scene in found) == sorted(scenes)
    assert sorted(map(str, beside)) == sorted(set(names) - {name for one in scenes for name in one})


@pytest.mark.parametrize(
    ("names", "given", "ids"),
    [
        (["a.npy", "b/c d.npy"], None, ["a", "c-d"]),
        (["x/a.npy", "y/a.npy"], None, ["x-a", "y-a"]),
        (["x/a.npy", "y/a.npy"], "set", ["set-x-a", "set-y-a"]),
        (["x/a.npy"], "set", ["set"]),
        (["a.npy", "a.mat"], None, ["a", "a-2"]),
        (["x/a.npy", "x-a.npy", "a.npy"], None, ["x-a", "x-a-2", "a"]),
    ],
)
def test_ids(names: list[str], given: str | None, ids: list[str]) -> None:
    assert scene_ids([(PurePosixPath(name),) for name in names], given) == ids


def test_a_folder_of_many_files_takes_no_square_of_time() -> None:
    """It is asked for over HTTP, of up to 100,000 names."""
    names = [f"{at}{end}" for at in range(5_000) for end in (".raw", ".hdr", ".png")]
    names += [f"EO1H{'_MTL_B001' * 450}{at}.txt" for at in range(1_000)]
    begun = time.process_time()
    found, beside = scenes_of([PurePosixPath(name) for name in names])
    ids = scene_ids(found)
    alike = scene_ids([(PurePosixPath(f"{'a' * at}/b!"),) for at in range(1, 150)] * 60, "x" * 128)
    assert time.process_time() - begun < 5
    assert (len(found), len(beside), len(set(ids))) == (5_000, 6_000, 5_000)
    assert len(set(alike)) == len(alike)


def test_a_folder(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for name in ("deep/a.hdr", "deep/a.raw", "b.npy", "notes.txt"):
        (tmp_path / name).touch()
    found = {item: [path.name for path in files] for item, files in scenes_in(tmp_path, None)}
    assert found == {"b": ["b.npy"], "a": ["a.raw", "a.hdr"]}
    assert folder_in([tmp_path / "b.npy"]) is None
    with pytest.raises(InvalidInput, match="one folder alone"):
        folder_in([tmp_path, tmp_path / "b.npy"])
    (tmp_path / "deep" / ".zgroup").touch()
    with pytest.raises(InvalidInput, match="zip it"):
        scenes_in(tmp_path / "deep", None)

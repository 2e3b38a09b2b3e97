"""A folder as `hsis upload` takes it: its scenes, each with its files."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from hsis.contracts.scenes import scene_ids, scenes_of
from hsis.errors import InvalidInput

ZARR_DOCUMENTS = ("zarr.json", ".zgroup", ".zarray")


def folder_in(paths: Sequence[Path]) -> Path | None:
    """The folder that was given alone; None where files were. InvalidInput for both at once."""
    folders = [path for path in paths if path.is_dir()]
    if not folders:
        return None
    if len(paths) > 1:
        raise InvalidInput(
            f"{folders[0]} is a folder; one folder alone, or the files of one cube, are right."
        )
    return folders[0]


def scenes_in(folder: Path, item: str | None) -> list[tuple[str, list[Path]]]:
    """The item id and the files of each scene of a folder and those in it.

    `item` is the id of its only scene, or what the ids of several begin with. InvalidInput where
    there is none.
    """
    if any((folder / name).is_file() for name in ZARR_DOCUMENTS):
        raise InvalidInput(f"{folder} is a Zarr store; zip it, and upload that file.")
    found = [
        PurePosixPath(path.relative_to(folder).as_posix())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]
    scenes, _ = scenes_of(found)
    if not scenes:
        raise InvalidInput(f"{folder} has no file that could be a cube.")
    ids = scene_ids(scenes, item)
    return [
        (scene_id, [folder / path for path in scene])
        for scene_id, scene in zip(ids, scenes, strict=True)
    ]

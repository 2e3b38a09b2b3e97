"""Which keys are taken."""

import pytest

from hsis.errors import InvalidInput
from hsis_storage_proxy.keys import check_key, check_prefix, check_removable_prefix

GOOD = [
    "raw/c/u/file.img",
    "cubes/c/i/cube.zarr/c/0/0/0",
    "cubes/c/x",
    "models/m",
    "models/m/1/weights.pt",
    "raw/c/u/..hidden",
    "raw/c/u/Überflug 1 (a+b)&c=%.tif",
    "raw/c/" + "s" * 255,
]
BAD = [
    "",
    "/raw/c/x",
    "raw//x",
    "raw/c/",
    "raw/c/./x",
    "raw/c/../x",
    "..",
    "raw/c/a\nb",
    "raw/c/a\x00b",
    "raw/c/a\x7fb",
    "raw/c/a\x85b",
    "raw/c/a\ud800b",
    "raw",
    "raw/c",
    "cubes/c",
    "openapi.json",
    "raw/c/" + "s" * 256,
    "raw/c/" + "ü" * 128,
    "raw/c/" + "s/" * 510 + "x",
    "raw/c/.rclone_temp_put_1",
]


@pytest.mark.parametrize("key", GOOD)
def test_good_keys(key: str) -> None:
    check_key(key, privileged=False)


@pytest.mark.parametrize("key", BAD)
def test_bad_keys_are_bad_for_everyone(key: str) -> None:
    for privileged in (False, True):
        with pytest.raises(InvalidInput):
            check_key(key, privileged=privileged)


def test_other_first_segments_are_for_the_privileged() -> None:
    check_key("backup/x", privileged=True)
    with pytest.raises(InvalidInput, match="raw/, cubes/ or models/"):
        check_key("backup/x", privileged=False)


def test_prefixes() -> None:
    for prefix in ("", "raw/", "raw/c/u", "cubes/c/i/cube.zarr/c/0"):
        check_prefix(prefix)
    for prefix in ("/", "raw//", "raw/../", "raw/\n"):
        with pytest.raises(InvalidInput):
            check_prefix(prefix)


def test_removable_prefixes() -> None:
    for prefix in ("cubes/c/i/", "raw/c/u/", "models/m/1/"):
        check_removable_prefix(prefix)
    for prefix in ("", "/", "cubes/", "cubes/c/", "cubes/c/i", "cubes//i/", "cubes/c/../"):
        with pytest.raises(InvalidInput):
            check_removable_prefix(prefix)

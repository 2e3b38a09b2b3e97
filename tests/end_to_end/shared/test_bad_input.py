"""Bad input: a clear problem each, and nothing left behind."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from tests.support.api import Session, session
from tests.support.embedded import Embedded

from hsis.contracts.uploads import UploadState

COLLECTION = "hostile"


@pytest.fixture(scope="module")
async def api(embedded: Embedded) -> AsyncIterator[Session]:
    async with session(embedded.url, embedded.admin_password) as opened:
        yield opened


def envi(
    folder: Path, *, lines: int = 4, size: int = 4 * 5 * 6 * 2, nan: bool = False
) -> list[Path]:
    """An ENVI pair of 5 samples, 6 bands and `lines` lines whose data file has `size` bytes."""
    header, raw = folder / "cube.hdr", folder / "cube.raw"
    kind = 4 if nan else 12
    header.write_text(
        f"ENVI\nsamples = 5\nlines = {lines}\nbands = 6\ndata type = {kind}\n"
        "interleave = bsq\nbyte order = 0\n"
    )
    raw.write_bytes(np.full(size // 4, np.nan, "<f4").tobytes() if nan else bytes(size))
    return [header, raw]


def mismatched(folder: Path) -> list[Path]:
    return envi(folder, lines=400)


def longer(folder: Path) -> list[Path]:
    return envi(folder, size=1000)


def without_header(folder: Path) -> list[Path]:
    return envi(folder)[1:]


def unknown(folder: Path) -> list[Path]:
    (folder / "letter.doc").write_bytes(b"Dear all, this is no cube." * 100)
    return [folder / "letter.doc"]


def truncated(folder: Path) -> list[Path]:
    np.save(folder / "cube.npy", np.arange(4000, dtype=np.uint16).reshape(10, 20, 20))
    content = (folder / "cube.npy").read_bytes()
    (folder / "cube.npy").write_bytes(content[:-1500])
    return [folder / "cube.npy"]


def nan_only(folder: Path) -> list[Path]:
    return envi(folder, size=4 * 5 * 6 * 4, nan=True)


def bomb(folder: Path) -> list[Path]:
    zeros = np.zeros((1000, 1000, 20), np.float64)
    scipy.io.savemat(folder / "bomb.mat", {"cube": zeros}, do_compression=True)
    assert (folder / "bomb.mat").stat().st_size < zeros.nbytes / 500
    return [folder / "bomb.mat"]


@pytest.mark.parametrize(
    ("make", "slug", "words"),
    [
        (mismatched, "truncated-file", ("24000", "240")),
        (longer, "header-mismatch", ("240", "1000")),
        (without_header, "missing-header", (".hdr",)),
        (unknown, "unknown-format", ("ENVI", "GeoTIFF", "MATLAB")),
        (truncated, "truncated-file", ("6628", "8128")),
        (nan_only, "no-valid-data", ("NaN",)),
        (bomb, "decompression-bomb", ("bomb.mat", "matlab_max_ratio")),
    ],
)
async def test_each_has_its_own_error_and_leaves_nothing(
    api: Session,
    tmp_path: Path,
    make: Callable[[Path], list[Path]],
    slug: str,
    words: tuple[str, ...],
) -> None:
    upload = await api.upload(make(tmp_path), COLLECTION, id=slug)
    assert upload.state is UploadState.FAILED
    assert upload.error is not None
    assert upload.error.slug == slug, upload.error
    for word in words:
        assert word in upload.error.detail
    for prefix in (f"raw/{COLLECTION}/", f"cubes/{COLLECTION}/"):
        assert [blob.key async for blob in api.storage.list(prefix, token=api.token)] == []
    found = await api.catalog.search({"collections": [COLLECTION]}, token=api.token)
    assert found["features"] == []


async def test_a_forged_token_is_refused_everywhere(api: Session) -> None:
    head, body, signature = api.token.split(".")
    forged = f"{head}.{body}.{signature[:-8]}AAAAAAAA"
    paths = (
        "/stac/collections",
        "/uploads?collection=hostile",
        "/blobs?prefix=raw/hostile/",
        "/cubes/hostile/x/statistics",
        "/processing/jobs",
    )
    for path in paths:
        answer = await api.http.get(api.url + path, headers={"Authorization": f"Bearer {forged}"})
        assert answer.status_code == 401, path
        assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_a_token_of_another_collection_opens_nothing_here(
    api: Session, tmp_path: Path
) -> None:
    np.save(tmp_path / "cube.npy", np.arange(60, dtype=np.uint16).reshape(3, 4, 5))
    upload = await api.upload([tmp_path / "cube.npy"], "mine", id="cube")
    assert upload.state is UploadState.SUCCEEDED, upload
    answer = await api.http.post(
        api.url + "/auth/keys",
        json={"name": "limited", "scopes": ["read", "write"], "collections": ["other"]},
        headers={"Authorization": f"Bearer {api.token}"},
    )
    assert answer.status_code == 201, answer.text
    limited = {"Authorization": f"Bearer {answer.json()['token']}"}
    for path in (
        "/stac/collections/mine/items/cube",
        "/blobs/cubes/mine/cube/statistics.json",
        "/cubes/mine/cube/spectrum?x=0&y=0",
        f"/uploads/{upload.id}",
    ):
        refused = await api.http.get(api.url + path, headers=limited)
        assert refused.status_code in {403, 404}, path
    refused = await api.http.post(
        api.url + "/uploads",
        json={"collection": "mine", "files": [{"name": "a.npy"}]},
        headers=limited,
    )
    assert refused.status_code == 403

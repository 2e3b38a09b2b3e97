"""Fetching blobs to disk: checked, and under their final name only when whole."""

import asyncio
import hashlib
import secrets
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from hsis.clients.storage import StorageClient
from hsis.contracts.blobs import Blob, path_in
from hsis.errors import Conflict, InvalidInput, NotFound, Unavailable

RETRY_DELAYS_S = (0.5, 2.0)
CONCURRENT = 8
_BLOBS = "/blobs/"
_SHA256_MULTIHASH = "1220"
"""The prefix of `file:checksum` for SHA-256 (multihash code 0x12, length 0x20)."""


@dataclass(frozen=True, slots=True)
class Expected:
    """A blob to fetch, and what it must turn out to be where that is known."""

    key: str
    filename: str
    size: int | None = None
    sha256: str | None = None


def original_blobs(item: dict[str, Any]) -> list[Expected]:
    """The uploaded files of a STAC Item, with the SHA-256 that ingest registered; its label maps,
    which lie beside them, were attached later."""
    found: list[Expected] = []
    for asset in item.get("assets", {}).values():
        if "labels" in asset.get("roles", ()):
            continue
        path = path_in(asset["href"])
        key = path[path.find(_BLOBS) + len(_BLOBS) :]
        if _BLOBS not in path or not key.startswith("raw/"):
            continue
        checksum = str(asset.get("file:checksum", ""))
        if not checksum.startswith(_SHA256_MULTIHASH):
            raise InvalidInput(f"The item has no SHA-256 for {key}: it cannot be verified.")
        found.append(
            Expected(
                key, _safe_name(key), asset.get("file:size"), checksum[len(_SHA256_MULTIHASH) :]
            )
        )
    return found


async def fetch_verified(
    storage: StorageClient,
    expected: Expected,
    folder: Path,
    *,
    on_progress: Callable[[int], None] | None = None,
) -> Path:
    """Fetch one blob into a folder. The file has its final name only when it is whole and right.

    Conflict when another file of that name is there, or when the bytes are not those expected.
    """
    target = folder / expected.filename
    with partial_file(folder, expected.filename) as partial:
        digest = await _fetch(storage, expected.key, partial, on_progress)
        if expected.sha256 is not None and digest != expected.sha256:
            raise Conflict(
                f"{expected.filename} has the SHA-256 {digest}, not {expected.sha256} as it had "
                "when it was uploaded; nothing was kept."
            )
        await asyncio.to_thread(_give_name, partial, target, digest)
    return target


async def fetch_prefix(
    storage: StorageClient,
    prefix: str,
    folder: Path,
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> int:
    """Fetch every blob under a prefix into a folder of the same layout; the number of blobs.

    Sizes are checked against the listing. NotFound when there is none.
    """
    blobs = [blob async for blob in storage.list(prefix)]
    if not blobs:
        raise NotFound(f"Nothing is stored under {prefix}.")
    total = sum(blob.size for blob in blobs)
    done = 0
    slots = asyncio.Semaphore(CONCURRENT)

    async def fetch(blob: Blob) -> None:
        nonlocal done
        async with slots:
            path = folder.joinpath(*_safe_parts(blob.key[len(prefix) :]))
            path.parent.mkdir(parents=True, exist_ok=True)
            await _fetch(storage, blob.key, path, None)
            if path.stat().st_size != blob.size:
                raise Conflict(f"{blob.key} changed while it was downloaded.")
            done += blob.size
            if on_progress is not None:
                on_progress(done, total)

    try:
        async with asyncio.TaskGroup() as group:
            for blob in blobs:
                group.create_task(fetch(blob))
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return len(blobs)


def partial_path(folder: Path, name: str) -> Path:
    """Where, hidden in `folder`, what is to be called `name` is made."""
    return folder / f".{name[:60]}-{secrets.token_hex(4)}"  # at most 255 bytes


@contextmanager
def partial_file(folder: Path, name: str) -> Iterator[Path]:
    """An empty hidden file in `folder`, gone at the end unless it was renamed.

    Who may read it is as the user's mask says of every new file.
    """
    path = partial_path(folder, name)
    path.touch(exist_ok=False)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _give_name(partial: Path, target: Path, digest: str) -> None:
    if target.exists() and _sha256(target) != digest:
        raise Conflict(f"{target} is there already with other content; it was left as it is.")
    partial.replace(target)


async def _fetch(
    storage: StorageClient, key: str, path: Path, on_progress: Callable[[int], None] | None
) -> str:
    """Write a blob to `path`, again from the start when the connection broke; its SHA-256."""
    for delay in (*RETRY_DELAYS_S, None):
        digest = hashlib.sha256()
        count = 0
        try:
            with path.open("wb") as file:
                async with aclosing(storage.stream(key)) as pieces:
                    async for piece in pieces:
                        await asyncio.to_thread(file.write, piece)
                        digest.update(piece)
                        count += len(piece)
                        if on_progress is not None:
                            on_progress(count)
            return digest.hexdigest()
        except Unavailable:
            if delay is None:
                raise
        await asyncio.sleep(delay)
    raise AssertionError("the last round returns or raises")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _safe_name(key: str) -> str:
    return _safe_parts(key)[-1]


def _safe_parts(key: str) -> tuple[str, ...]:
    parts = PurePosixPath(key).parts
    if not parts or ".." in parts or parts[0] == "/" or any("\\" in part for part in parts):
        raise InvalidInput(f"The key {key!r} is no safe path on this machine.")
    return parts

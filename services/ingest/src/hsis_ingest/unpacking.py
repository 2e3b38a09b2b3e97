"""An uploaded archive becomes an upload for each scene in it."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Executor
from pathlib import PurePosixPath
from uuid import UUID

import asyncpg

from hsis.clients.storage import StorageClient
from hsis.contracts.blobs import raw_prefix
from hsis.contracts.scenes import Scene, scene_ids, scenes_of
from hsis.errors import COMMON_PROBLEMS, Problem, problem_type
from hsis.service.postgres import transaction
from hsis_ingest import archive_repository, repository
from hsis_ingest.archives.members import Archive, Content, Limits, Member, check_begin
from hsis_ingest.archives.opening import open_archive
from hsis_ingest.errors import LeaseLost, TruncatedFile, UnknownFormat, UnsupportedFormat
from hsis_ingest.formats.blob import BlobSource
from hsis_ingest.rows import UploadRow
from hsis_ingest.settings import Settings
from hsis_ingest.wanted import MAX_FILES

READ_BYTES = 1024 * 1024

Targets = dict[PurePosixPath, UUID]
"""The upload that each wanted member is a file of."""


class Unpacking:
    """Takes one upload's archive apart. `run` may be cancelled at any point and begun anew: until
    its end no scene is converted, and then all of them are queued at once."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        storage: StorageClient,
        executor: Executor,
        settings: Settings,
        token: UUID,
        progress: Callable[[float], Awaitable[None]],
        reserve: Callable[[int], Awaitable[None]],
    ) -> None:
        self._pool = pool
        self._storage = storage
        self._executor = executor
        self._settings = settings
        self._token = token
        self._progress = progress
        self._reserve = reserve

    async def run(self, upload: UploadRow) -> bool:
        """Whether the upload was an archive; then its scenes are queued.

        Raises an InputFault where it may not be unpacked; nothing is left of it then.
        """
        if len(upload.files) != 1 or upload.parent is not None:
            return False
        loop = asyncio.get_running_loop()
        [file] = upload.files
        source = BlobSource(self._storage, upload.key_of(file), file.name, file.size or 0)
        limits = Limits(
            self._settings.archive_max_members,
            self._settings.max_upload_bytes,
            self._settings.archive_max_ratio,
        )
        try:
            archive = await loop.run_in_executor(self._executor, open_archive, source, limits)
            if archive is None:
                return False
            scenes = _scenes(file.name, archive)
            wanted = {path for scene in scenes for path in scene}
            sizes = [member.size for member in archive.members if member.path in wanted]
            await self._reserve(source.size + sum(sizes))  # the archive is there meanwhile
            targets = await self._begin(upload, archive, scenes)
            try:
                await self._store_all(upload, archive, targets)
            except BaseException:
                await asyncio.shield(self._give_up(upload))
                raise
        finally:
            source.close()
        async with transaction(self._pool) as db:
            if not await archive_repository.finish(db, upload.id, self._token):
                raise LeaseLost
        return True

    async def _begin(self, upload: UploadRow, archive: Archive, scenes: list[Scene]) -> Targets:
        sizes = {member.path: member.size for member in archive.members}
        ids = scene_ids(scenes, upload.item if upload.named else None)
        targets: Targets = {}
        async with transaction(self._pool) as db:
            if not await archive_repository.begin(db, upload.id, self._token):
                raise LeaseLost
            for scene, item in zip(scenes, ids, strict=True):
                files = [(path.name, sizes[path]) for path in scene]
                try:
                    async with db.transaction():
                        made = await archive_repository.add_scene(
                            db, upload.id, item, files, self._settings.upload_ttl_s
                        )
                except asyncpg.UniqueViolationError:
                    taken = repository.item_taken(upload.collection, item)
                    problem = Problem.of(problem_type(COMMON_PROBLEMS, taken), taken.detail)
                    await archive_repository.add_failed_scene(db, upload.id, item, problem)
                else:
                    targets |= dict.fromkeys(scene, made)
        return targets

    async def _store_all(self, upload: UploadRow, archive: Archive, targets: Targets) -> None:
        loop = asyncio.get_running_loop()
        total = sum(member.size for member in archive.members if member.path in targets)
        contents: Iterator[tuple[Member, Content]] = archive.contents(frozenset(targets))
        done = 0
        while True:
            found = await loop.run_in_executor(self._executor, next, contents, None)
            if found is None:
                return
            member, content = found
            await self._store(upload, targets[member.path], member, content)
            done += member.size
            await self._progress(done / max(1, total))

    async def _store(
        self, upload: UploadRow, scene: UUID, member: Member, content: Content
    ) -> None:
        archive, loop = upload.files[0].name, asyncio.get_running_loop()
        digest = hashlib.sha256()

        async def pieces() -> AsyncIterator[bytes]:
            left, first = member.size, True
            while piece := await loop.run_in_executor(self._executor, content.read, READ_BYTES):
                if first:
                    check_begin(archive, member, piece)
                    first = False
                left -= len(piece)
                if left < 0:
                    raise TruncatedFile(f"{archive}: {member.path} is longer than it says.")
                await loop.run_in_executor(self._executor, digest.update, piece)
                yield piece
            if left:
                raise TruncatedFile(
                    f"{archive}: {member.path} is {left} bytes shorter than it says."
                )

        key = raw_prefix(upload.collection, str(scene)) + member.path.name
        await self._storage.put(key, pieces())
        async with transaction(self._pool) as db:
            kept = await repository.note_stored(
                db, scene, member.path.name, member.size, digest.hexdigest()
            )
        if not kept:
            raise LeaseLost

    async def _give_up(self, upload: UploadRow) -> None:
        async with transaction(self._pool) as db:
            await archive_repository.give_up_scenes(db, upload.id, self._token)


def _scenes(archive: str, content: Archive) -> list[Scene]:
    """The scenes of an archive; UnknownFormat where there is none."""
    scenes, _ = scenes_of([member.path for member in content.members])
    if not scenes:
        raise UnknownFormat(
            f"{archive} has no file that could be a cube among its {len(content.members)} files."
        )
    for scene in scenes:
        if len(scene) > MAX_FILES:
            raise UnsupportedFormat(
                f"{archive}: {len(scene)} files belong to {scene[0]}; at most {MAX_FILES} do."
            )
    return scenes

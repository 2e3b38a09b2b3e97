"""Uploads and their files as the database has them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from hsis.contracts.blobs import raw_prefix
from hsis.contracts.metadata import CubeMetadata
from hsis.contracts.uploads import (
    Calibration,
    OnDuplicate,
    ReceivedFile,
    SceneUpload,
    Upload,
    UploadState,
)
from hsis.errors import Problem, ProblemType

SCENES_FAILED = ProblemType(422, "scenes-failed", "Scenes of the archive failed")


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of an upload. `size` and `sha256` are of the bytes stored, None before.

    `sha256` of a file that is stored may still be to compute. `source` is where ingest fetches it
    itself: a URL, or `blob:` and a key; `fetched` says how many bytes are here. `stored_as` is its
    name among the originals of an earlier upload, whose it is too.
    """

    name: str
    declared_size: int | None
    size: int | None
    sha256: str | None
    source: str | None = None
    source_etag: str | None = None
    fetched: int = 0
    stored_as: str | None = None

    @property
    def received(self) -> bool:
        """Whether it is stored whole."""
        return self.size is not None

    def told_source(self) -> str | None:
        """Its source without what may be a secret."""
        return None if self.source is None else self.source.removeprefix("blob:").split("?")[0]


@dataclass(frozen=True, slots=True)
class FileTotals:
    """Of all files of an upload. `size` is the bytes of those whose size is known; `fetching` tells
    whether one is missing that ingest fetches itself, `here` the part that is stored, 0 to 1, of
    files that all say their size, else 0."""

    count: int = 0
    received: int = 0
    size: int = 0
    fetching: bool = False
    here: float = 0.0


@dataclass(frozen=True, slots=True)
class SceneTotals:
    """Of all scenes of an archive: how many, how many failed, whether all have ended, and the mean
    of how far they are."""

    count: int = 0
    failed: int = 0
    ended: bool = True
    done: float = 0.0


@dataclass(frozen=True, slots=True)
class UploadRow:
    """An upload as the database has it.

    `owner` is None where it was announced; else it is whose first file made it. `named` is False
    where the item is called after a file. `originals` is the upload that the files of a restored
    item came with, `trash_entry` the entry that keeps them meanwhile, `restored` the item that it
    was and `kept_prefixes` what that needs. `template` is what the collection's template said at
    the last conversion. `totals` are of all files; one of a list has only the first of `files`, and
    no `metadata`, `template` or `restored`.
    """

    id: UUID
    collection: str
    item: str
    axes: str | None
    variable: str | None
    rows: int | None
    columns: int | None
    calibration: Calibration
    metadata: CubeMetadata | None
    state: UploadState
    progress: float
    attempts: int
    purge: bool
    discarded: bool
    error: Problem | None
    created_at: datetime
    expires_at: datetime | None
    owner: str | None
    group_name: str | None
    named: bool
    files: tuple[StoredFile, ...]
    totals: FileTotals
    originals: UUID | None = None
    trash_entry: UUID | None = None
    restored: Mapping[str, Any] | None = None
    kept_prefixes: tuple[str, ...] = ()
    template: CubeMetadata | None = None
    on_duplicate: OnDuplicate = OnDuplicate.SHARE
    duplicate_of: tuple[str, ...] = ()
    parent: UUID | None = None
    unpacked: bool = False
    scenes: tuple[SceneUpload, ...] = ()
    scene_totals: SceneTotals = SceneTotals()
    white_reflectance: float | str | None = None

    @property
    def originals_prefix(self) -> str:
        """Where its files lie: those of a restored item, or of one whose originals are an earlier
        one's, where they were uploaded to at first."""
        return raw_prefix(self.collection, str(self.originals or self.id))

    def key_of(self, file: StoredFile) -> str:
        """Where one of its files lies."""
        return self.originals_prefix + (file.stored_as or file.name)

    @property
    def fetching(self) -> bool:
        """Whether files are still missing that ingest fetches itself."""
        return self.state is UploadState.RECEIVING and self.totals.fetching

    def told_with_asked(self) -> Upload:
        """What its editors see of it alone: with what was asked for, which may be long."""
        asked = {
            "metadata": self.metadata,
            "calibration": self.calibration,
            "white_reflectance": self.white_reflectance,
        }
        return self.told().model_copy(update=asked)

    def told(self) -> Upload:
        """What its users see."""
        upload = self._told()
        if self.unpacked and self.state is UploadState.SUCCEEDED:
            return upload.model_copy(update=_of_scenes(self.scenes, self.scene_totals))
        return upload

    def _told(self) -> Upload:
        return Upload(
            id=str(self.id),
            collection=self.collection,
            item=self.item,
            state=UploadState.FETCHING if self.fetching else self.state,
            files=[
                ReceivedFile(
                    name=file.name,
                    size=file.declared_size if file.size is None else file.size,
                    received=file.received,
                    sha256=file.sha256,
                    source=file.told_source(),
                )
                for file in self.files
            ],
            file_count=self.totals.count,
            received_count=self.totals.received,
            size=self.totals.size,
            progress=self.totals.here if self.fetching else self.progress,
            attempts=self.attempts,
            error=self.error,
            created_at=self.created_at,
            parent=None if self.parent is None else str(self.parent),
            scenes=[*self.scenes],
            scene_count=self.scene_totals.count,
            duplicate_of=[*self.duplicate_of],
            expires_at=self.expires_at,
        )


def _of_scenes(scenes: Sequence[SceneUpload], totals: SceneTotals) -> dict[str, Any]:
    """How an archive that was unpacked stands: as its scenes do, the first of which are told."""
    if not totals.ended:
        return {"state": UploadState.CONVERTING, "progress": totals.done}
    if not totals.failed:
        return {"state": UploadState.SUCCEEDED, "progress": 1.0}
    failed = [scene for scene in scenes if scene.state is UploadState.FAILED]
    failed.sort(key=lambda scene: scene.expires_at is None)  # as lists of uploads have them
    told = "; ".join(
        f"{scene.item}: {scene.error.detail if scene.error else 'failed'}" for scene in failed[:10]
    )
    detail = f"{totals.failed} of {totals.count} scenes failed. {told}"
    error = Problem.of(SCENES_FAILED, detail)
    return {"state": UploadState.FAILED, "progress": totals.done, "error": error}


def scene_of(row: asyncpg.Record) -> SceneUpload:
    """What an archive's upload tells of one of its scenes."""
    error: Any = row["error"]
    return SceneUpload(
        id=str(row["id"]),
        item=row["item"],
        state=UploadState(row["state"]),
        progress=row["progress"],
        error=None if error is None else Problem.model_validate(json.loads(error)),
        expires_at=row["expires_at"],
    )


def upload_of(
    row: asyncpg.Record,
    files: Sequence[asyncpg.Record],
    scenes: Sequence[asyncpg.Record] = (),
) -> UploadRow:
    """The typed form of a row, its files' rows and those of its scenes, each with the totals."""
    error: Any = row["error"]
    return UploadRow(
        id=row["id"],
        collection=row["collection"],
        item=row["item"],
        axes=row["axes"],
        variable=row["variable"],
        rows=row["rows"],
        columns=row["columns"],
        calibration=Calibration(row["calibration"]),
        metadata=_metadata(row["metadata"]),
        state=UploadState(row["state"]),
        progress=row["progress"],
        attempts=row["attempts"],
        purge=row["purge"],
        discarded=row["discarded"],
        error=None if error is None else Problem.model_validate(json.loads(error)),
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        owner=row["owner"],
        group_name=row["group_name"],
        named=row["named"],
        files=tuple(
            StoredFile(
                name=file["name"],
                declared_size=file["declared_size"],
                size=file["size"],
                sha256=file["sha256"],
                source=file["source"],
                source_etag=file["source_etag"],
                fetched=file["fetched"],
                stored_as=file["stored_as"],
            )
            for file in files
        ),
        totals=_totals(files),
        originals=row["originals"],
        trash_entry=row["trash_entry"],
        restored=None if row["restored"] is None else json.loads(row["restored"]),
        kept_prefixes=tuple(row["kept_prefixes"]),
        template=_metadata(row["template"]),
        on_duplicate=OnDuplicate(row["on_duplicate"]),
        duplicate_of=tuple(row["duplicate_of"]),
        parent=row["parent"],
        unpacked=row["unpacked"],
        scenes=tuple(scene_of(scene) for scene in scenes),
        scene_totals=_scene_totals(scenes),
        white_reflectance=_number_or_name(row["white_reflectance"]),
    )


def _totals(files: Sequence[asyncpg.Record]) -> FileTotals:
    if not files:
        return FileTotals()
    told = files[0]
    return FileTotals(
        told["count"], told["received"], told["total"], told["fetching"], told["here"]
    )


def _scene_totals(scenes: Sequence[asyncpg.Record]) -> SceneTotals:
    if not scenes:
        return SceneTotals()
    told = scenes[0]
    return SceneTotals(told["count"], told["failed"], told["ended"], told["done"])


def _metadata(said: str | None) -> CubeMetadata | None:
    return None if said is None else CubeMetadata.model_validate_json(said)


def _number_or_name(text: str | None) -> float | str | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return text

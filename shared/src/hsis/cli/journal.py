"""What `hsis upload` remembers on disk, so that it goes on after it was killed."""

import hashlib
import json
import os
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ValidationError

from hsis.contracts.uploads import UploadRequest

KEEP_S = 30 * 24 * 3600
"""An entry that nobody came back to is removed after so long."""


class Entry(BaseModel):
    """The content of a file: what was being sent, and where to."""

    what: str
    key: str
    upload: str | None = None
    transfers: dict[str, str] = {}


def cache_folder() -> Path:
    """`$XDG_CACHE_HOME/hsis/uploads`, or the same under `~/.cache`."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "hsis" / "uploads"


def can_remember() -> bool:
    """Whether files can be written there: in a container, or without a home, often not."""
    folder = cache_folder()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)


class FileJournal:
    """One file for each server, collection and set of paths. See hsis.clients.sending.Journal."""

    def __init__(self, server: str, request: UploadRequest, paths: Sequence[Path]) -> None:
        where = [server, request.collection, request.id, *sorted(str(p.absolute()) for p in paths)]
        self._path = cache_folder() / f"{_digest(where)}.json"
        states = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
        self._what = _digest([request.model_dump(mode="json"), states])
        self._entry = self._load()

    def upload(self) -> str | None:
        """The upload that these very files were being sent to."""
        entry = self._entry
        return entry.upload if entry is not None and entry.what == self._what else None

    def transfer(self, name: str) -> str | None:
        """The transfer of one of the files."""
        return None if self._entry is None else self._entry.transfers.get(name)

    def outdated(self) -> str | None:
        """An upload of the same paths whose files, or what was asked for them, have changed."""
        entry = self._entry
        return entry.upload if entry is not None and entry.what != self._what else None

    def key(self) -> str:
        """What to announce the upload with: the same until `note_upload`."""
        if self._entry is None or self._entry.what != self._what or self._entry.upload is not None:
            self._entry = Entry(what=self._what, key=str(uuid.uuid4()))
            self._save()
        return self._entry.key

    def note_upload(self, upload: str) -> None:
        """Remember the upload that was announced."""
        self.key()
        assert self._entry is not None
        self._entry.upload = upload
        self._save()

    def note_transfer(self, name: str, transfer: str) -> None:
        """Remember the transfer of one of the files."""
        if self._entry is not None:
            self._entry.transfers[name] = transfer
            self._save()

    def forget(self) -> None:
        """Nothing is on its way any more."""
        self._entry = None
        self._path.unlink(missing_ok=True)

    def _load(self) -> Entry | None:
        with suppress(OSError, ValidationError):
            return Entry.model_validate_json(self._path.read_bytes())
        return None

    def _save(self) -> None:
        assert self._entry is not None
        folder = self._path.parent
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for other in folder.glob("*.json"):
            with suppress(OSError):
                if other.stat().st_mtime < time.time() - KEEP_S:
                    other.unlink()
        whole = self._path.with_suffix(f".{os.getpid()}")
        whole.write_text(self._entry.model_dump_json(), encoding="utf-8")
        whole.replace(self._path)


class KeptJournal(FileJournal):
    """Remembers what was sent, too, until all of a folder is: the same command then finds the
    scenes that it sent before it was ended, and takes them for no conflict."""

    def forget(self) -> None:
        """Not yet."""

    def forget_now(self) -> None:
        """The whole folder was sent."""
        super().forget()


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()

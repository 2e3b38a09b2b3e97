"""Uploads: several files that make one cube, and the conversion that follows."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from hsis.contracts.ids import ResourceId
from hsis.contracts.metadata import CubeMetadata
from hsis.errors import Problem

Filename = Annotated[str, StringConstraints(pattern=r"^[^/\\\x00-\x1f]{1,255}$")]
Axes = Annotated[str, StringConstraints(pattern=r"^[bxy]{2,3}$")]


class UploadState(StrEnum):
    """Where an upload stands. The last two are final."""

    RECEIVING = "receiving"
    FETCHING = "fetching"
    QUEUED = "queued"
    CONVERTING = "converting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"

    @property
    def final(self) -> bool:
        """Whether nothing will change any more."""
        return self in {UploadState.SUCCEEDED, UploadState.FAILED}


class Calibration(StrEnum):
    """What is computed of a raw scene while it is stored.

    `reflectance` needs the scene's white and dark references in the upload.
    """

    NONE = "none"
    REFLECTANCE = "reflectance"


class DeclaredFile(BaseModel):
    """A file that the client is about to send."""

    name: Filename
    size: int | None = Field(default=None, ge=0, description="Bytes, where known")


class OnDuplicate(StrEnum):
    """What is done where an item of the same originals is in the collection already."""

    SHARE = "share"
    REFUSE = "refuse"


MAX_REFLECTANCE = 1.2
"""Of a white panel: a bright one reflects more in some directions than an ideal one."""


def _panel(given: object) -> object:
    """A text that is a number, as forms and tus send it, is that number."""
    try:
        return float(given) if isinstance(given, str) else given
    except ValueError:
        return given


def _reflected(value: float | str) -> float | str:
    if isinstance(value, float) and not 0 < value <= MAX_REFLECTANCE:
        raise ValueError(
            f"{value:g} is no reflectance of a panel; a number above 0 to {MAX_REFLECTANCE:g} is "
            "right, such as 0.99 for 99 %"
        )
    return value


WhiteReflectance = Annotated[float | Filename, BeforeValidator(_panel), AfterValidator(_reflected)]


class UploadOptions(BaseModel):
    """Where to store a cube and how to read its files.

    `axes` names the axes of an array without names, slowest first in the order that the reader of
    the format shows it (`yxb` when not given); a two-dimensional array of pixels by bands takes
    `rows` and `columns`.
    """

    collection: ResourceId
    id: ResourceId | None = Field(default=None, description="Item id; made of the name if absent")
    axes: Axes | None = None
    variable: str | None = Field(default=None, max_length=256)
    rows: int | None = Field(default=None, ge=1)
    columns: int | None = Field(default=None, ge=1)
    on_duplicate: OnDuplicate = Field(
        default=OnDuplicate.SHARE,
        description="Where an item of the same originals is in the collection: `share` makes "
        "another item of them and stores them once, `refuse` makes none",
    )
    calibration: Calibration = Calibration.NONE
    white_reflectance: WhiteReflectance | None = Field(
        default=None,
        description="What the panel of the white reference reflects (1 where not said): a number, "
        "or the name of a file of the upload with columns wavelength and reflectance",
    )
    metadata: CubeMetadata | None = Field(
        default=None, description="What is known of the cube; it wins over what the files say"
    )


class UploadRequest(UploadOptions):
    """What to store and how to read it. Files that belong together go together."""

    files: list[DeclaredFile] = Field(min_length=1)


class RetryRequest(BaseModel):
    """What is to be different when a failed upload is converted again; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    metadata: CubeMetadata | None = Field(
        default=None, description="It takes the place of all that was said of the cube before"
    )
    white_reflectance: WhiteReflectance | None = Field(
        default=None,
        description="Of `calibration` = `reflectance`: as of the upload; null takes it away",
    )


class FileSource(BaseModel):
    """Where ingest finds a file by itself: a URL, or a blob that the caller may read.

    A plain text is taken too: a URL where it has `://`, else a blob.
    """

    url: str | None = Field(default=None, max_length=4096, description="http or https")
    blob: str | None = Field(
        default=None, max_length=1024, description="Key in the store, such as `raw/<collection>/…`"
    )
    name: Filename | None = Field(default=None, description="Its last part if absent")

    @model_validator(mode="before")
    @classmethod
    def _of_text(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return {"url" if "://" in value else "blob": value}

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.url is None) == (self.blob is None):
            raise ValueError("a source is either `url` or `blob`")
        return self


class IngestRequest(UploadOptions):
    """What ingest is to fetch by itself and store: the files of one cube, its header too."""

    sources: list[FileSource] = Field(min_length=1)


class OriginalItem(BaseModel):
    """An item that has an original file with the SHA-256 that was asked for."""

    collection: str
    item: str
    href: str = Field(description="From the edge's origin")
    files: list[str] = Field(description="Names of the files that have it")


class SceneNames(BaseModel):
    """The files of a folder by their paths in it, with `/` between folders."""

    names: list[Annotated[str, StringConstraints(min_length=1, max_length=4096)]] = Field(
        max_length=100_000
    )
    id: ResourceId | None = Field(
        default=None, description="Of the only scene, or what the ids of several begin with"
    )


class FoundScene(BaseModel):
    """Files that make one cube, and the item id that is made of their names."""

    id: str
    names: list[str]


class FoundScenes(BaseModel):
    """The scenes of a folder, and the files that are of none."""

    scenes: list[FoundScene]
    beside: list[str]


class ReceivedFile(BaseModel):
    """A file as far as it is stored."""

    name: str
    size: int | None = Field(default=None, description="Declared size in bytes, where declared")
    received: bool = False
    sha256: str | None = Field(default=None, description="Of the bytes received, hexadecimal")
    source: str | None = Field(
        default=None, description="Where ingest fetches it: a URL without its query, or a key"
    )


class SceneUpload(BaseModel):
    """The upload that a scene of an archive became."""

    id: str
    item: str
    state: UploadState
    progress: float
    error: Problem | None = None
    expires_at: datetime | None = Field(default=None, description="As of an upload")


class Upload(BaseModel):
    """An upload and its conversion, as ingest tells it.

    One of an archive has `scenes`, makes no item itself, and ends when the last of them does:
    failed where one of them is.
    """

    id: str
    collection: str
    item: str
    state: UploadState
    files: list[ReceivedFile] = Field(
        description="In lists of uploads the first of each, 16 unless set"
    )
    file_count: int = Field(default=0, description="How many files it has in all")
    received_count: int = Field(default=0, description="How many of them are stored")
    size: int = Field(default=0, description="Bytes of them all, of those whose size is known")
    progress: float = Field(default=0.0, ge=0, le=1, description="Of fetching or of the conversion")
    attempts: int = 0
    error: Problem | None = None
    created_at: datetime
    parent: str | None = Field(default=None, description="The upload of the archive it came in")
    scenes: list[SceneUpload] = Field(
        default=[],
        description="In lists of uploads as many of each as of its files, those that can be "
        "converted again before others",
    )
    scene_count: int = Field(default=0, description="How many scenes it has in all")
    duplicate_of: list[str] = Field(
        default=[], description="Items of the collection that were made of the same originals"
    )
    expires_at: datetime | None = Field(
        default=None,
        description="When an unfinished upload is given up, or a failed one's files are removed",
    )
    metadata: CubeMetadata | None = Field(
        default=None,
        description="What was said of the cube; told to editors, of one upload, not in lists",
    )
    calibration: Calibration | None = Field(default=None, description="As `metadata`")
    white_reflectance: float | str | None = Field(default=None, description="As `metadata`")

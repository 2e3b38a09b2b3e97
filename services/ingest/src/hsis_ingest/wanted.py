"""What a client asks for, also in fields of text (a form, tus metadata), and whether it can be."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from hsis.contracts.uploads import DeclaredFile, UploadRequest
from hsis.errors import InvalidInput, TooLarge, fault_told
from hsis_ingest.formats.captures import Part, part_of
from hsis_ingest.given import check_said
from hsis_ingest.tus_headers import metadata_of

MAX_FILES = 512
"""Of one upload: products of several hundred bands have a file for each."""
AXES = {"".join(sorted("byx")), "".join(sorted("yx"))}
FIELDS = (
    "collection",
    "id",
    "axes",
    "variable",
    "rows",
    "columns",
    "calibration",
    "white_reflectance",
    "on_duplicate",
)


def request_from(
    values: Mapping[str, str], files: Sequence[tuple[str, int | None]], where: str
) -> UploadRequest:
    """The announcement of files, given by name and size in bytes.

    InvalidInput where it cannot be; `where` says what the fields are of.
    """
    fields: dict[str, Any] = {key: values[key] for key in FIELDS if values.get(key)}
    said = metadata_of(values)
    if said:
        fields["metadata"] = said
    try:
        declared = [DeclaredFile(name=name, size=size) for name, size in files]
        return UploadRequest(files=declared, **fields)
    except ValidationError as error:
        fault = error.errors()[0]
        path = ".".join(str(part) for part in fault["loc"])
        raise InvalidInput(f"{path} in {where}: {fault_told(fault)}.") from None


def check_request(request: UploadRequest, max_bytes: int) -> None:
    """InvalidInput for a request that cannot be, TooLarge over `max_bytes` in all files."""
    names = [file.name for file in request.files]
    if len(set(names)) != len(names):
        raise InvalidInput("Two files of an upload have the same name.")
    if len(names) > MAX_FILES:
        raise InvalidInput(f"{len(names)} files; an upload has at most {MAX_FILES}.")
    if any(name in {".", ".."} for name in names):
        raise InvalidInput("`.` and `..` are no names of files.")
    total = sum(file.size or 0 for file in request.files)
    if total > max_bytes:
        raise TooLarge(f"{total} bytes; at most {max_bytes} are taken (setting max_upload_bytes).")
    if request.axes is not None and "".join(sorted(request.axes)) not in AXES:
        raise InvalidInput(
            f"axes = {request.axes}; each of b, y, x once is right (or y, x for one band)."
        )
    if (request.rows is None) != (request.columns is None):
        raise InvalidInput("`rows` and `columns` go together.")
    check_said(request.metadata)


def data_name(request: UploadRequest) -> str:
    """The file that the item is named after: the first that is no header, rather the scene than a
    reference of it."""
    said = [file.name for file in request.files]
    tables = {request.metadata and request.metadata.wavelengths_file, request.white_reflectance}
    names = [name for name in said if name not in tables] or said
    data = [name for name in names if not name.lower().endswith(".hdr")] or names
    return next((name for name in data if part_of(name) is Part.SCENE), data[0])

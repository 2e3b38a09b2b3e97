"""What a client asks for in fields of text: those of a form, or tus metadata."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from hsis.contracts.uploads import DeclaredFile, UploadRequest
from hsis.errors import InvalidInput
from hsis_ingest.tus_headers import metadata_of

FIELDS = (
    "collection",
    "id",
    "axes",
    "variable",
    "rows",
    "columns",
    "calibration",
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
        raise InvalidInput(f"{path} in {where}: {fault['msg']}.") from None

"""Announcing an upload whose files ingest fetches itself."""

from contextlib import suppress
from uuid import UUID

import httpx
from pydantic import ValidationError

from hsis.contracts.access import Caller, Role
from hsis.contracts.uploads import DeclaredFile, FileSource, IngestRequest, Upload, UploadRequest
from hsis.errors import InvalidInput, NotFound
from hsis_ingest import uploads
from hsis_ingest.addresses import AddressRules, name_in
from hsis_ingest.fetch_queue import FetchedFrom
from hsis_ingest.fetching import BLOB
from hsis_ingest.state import State
from hsis_ingest.wanted import MAX_FILES


async def announce(
    state: State, caller: Caller, request: IngestRequest, key: UUID | None = None
) -> Upload:
    """A new upload of what the sources have; it is fetched soon, and then converted.

    Raises as `uploads.announce` does, and SourceNotAllowed for a URL that may not be fetched,
    NotFound or Forbidden for a blob that the caller may not read.
    """
    if len(request.sources) > MAX_FILES:
        raise InvalidInput(f"{len(request.sources)} sources; an upload has at most {MAX_FILES}.")
    with suppress(NotFound):  # it is made once the sources are known to be right
        await state.access.require(caller, request.collection, Role.EDITOR)
    rules = AddressRules(state.settings)
    urls = [each.url for each in request.sources if each.url is not None]
    await rules.check_hosts([rules.check_url(url) for url in urls])
    files, sources = [], []
    for source in request.sources:
        file, fetched = await _file_of(state, caller, source)
        files.append(file)
        sources.append(fetched)
    # Not by model_dump: what the user did not say of the cube is to stay unsaid.
    options = {name: value for name, value in request if name != "sources"}
    wanted = UploadRequest(files=files, **options)
    return await uploads.announce(state, caller, wanted, key, sources)


async def _file_of(
    state: State, caller: Caller, source: FileSource
) -> tuple[DeclaredFile, FetchedFrom]:
    if source.blob is not None:
        return await _file_of_blob(state, caller, source.blob, source.name)
    url = httpx.URL(source.url or "")
    file = _declared(source.name or name_in(url), None)
    return file, FetchedFrom(file.name, str(url))


async def _file_of_blob(
    state: State, caller: Caller, blob: str, name: str | None
) -> tuple[DeclaredFile, FetchedFrom]:
    key = blob.removeprefix("/blobs/")
    if key.startswith("staging/"):
        raise InvalidInput("What lies under staging/ is no file yet.")
    try:
        found = await state.storage.head(key, token=caller.token)
    except NotFound:
        raise NotFound(f"There is no blob {key!r} that this token can read.") from None
    file = _declared(name or key.rpartition("/")[2], found.size)
    return file, FetchedFrom(file.name, BLOB + key, found.etag)


def _declared(name: str, size: int | None) -> DeclaredFile:
    try:
        return DeclaredFile(name=name, size=size)
    except ValidationError:
        raise InvalidInput(
            f"The source has no name for its file ({name!r}); give one as `name`."
        ) from None

"""Damaged and hostile uploads: the named error, and nothing left.

`make test-endurance` sends all of them from their first byte to their end.
"""

import asyncio

import pytest

from hsis.contracts.uploads import UploadState
from hsis.errors import DomainError
from hsis_ingest.worker import problem_for
from tests.ingest.conftest import Ingest
from tests.ingest.corpus import BY_CONVERSION, Case, cases, few
from tests.ingest.files import MemoryFile, opened, whole

COLLECTION = "corpus"
AT_ONCE = 3
READ = [case for case in cases() if case.name not in BY_CONVERSION]


@pytest.mark.parametrize("case", READ, ids=lambda case: case.name)
def test_its_reader_names_what_is_wrong(case: Case):
    files = [MemoryFile(name, content) for name, content in case.files.items()]
    with pytest.raises(DomainError) as raised:
        whole(opened(files, **case.options))
    assert raised.value.detail
    assert problem_for(raised.value).type == f"urn:hsis:problem:{case.problem}"


async def test_its_upload_fails_and_leaves_nothing(ingest: Ingest):
    places = asyncio.Semaphore(AT_ONCE)

    async def told(case: Case) -> str:
        async with places:
            sent = await ingest.send(COLLECTION, case.files, id=case.name, **case.options)
            upload = await ingest.ended(sent)
        if upload.state is not UploadState.FAILED or upload.error is None:
            return f"none: {upload.state}"
        return upload.error.type.removeprefix("urn:hsis:problem:")

    sent = few()
    problems = await asyncio.gather(*map(told, sent))
    assert dict(zip([case.name for case in sent], problems, strict=True)) == {
        case.name: case.problem for case in sent
    }
    await ingest.emptied(f"raw/{COLLECTION}/", f"cubes/{COLLECTION}/", "staging/")
    found = await ingest.catalog.search({"collections": [COLLECTION]}, token=ingest.admin_token)
    assert found["features"] == []

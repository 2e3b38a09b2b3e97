"""Damaged and hostile uploads from their first byte to their end: the named error, and no rest."""

import asyncio

from hsis.contracts.uploads import UploadState
from tests.ingest.conftest import Ingest
from tests.ingest.corpus import Case, cases

COLLECTION = "corpus"
AT_ONCE = 3


async def test_each_gets_its_error_and_leaves_nothing(ingest: Ingest):
    corpus = cases()
    assert len({case.name for case in corpus}) == len(corpus) >= 60
    places = asyncio.Semaphore(AT_ONCE)

    async def told(case: Case) -> str:
        async with places:
            sent = await ingest.send(COLLECTION, case.files, id=case.name, **case.options)
            upload = await ingest.ended(sent)
        if upload.state is not UploadState.FAILED or upload.error is None:
            return f"none: {upload.state}"
        assert upload.error.detail, case.name
        return upload.error.type.removeprefix("urn:hsis:problem:")

    problems = await asyncio.gather(*map(told, corpus))
    assert {case.name: problem for case, problem in zip(corpus, problems, strict=True)} == {
        case.name: case.problem for case in corpus
    }
    await ingest.emptied(f"raw/{COLLECTION}/", f"cubes/{COLLECTION}/", "staging/")
    found = await ingest.catalog.search({"collections": [COLLECTION]}, token=ingest.admin_token)
    assert found["features"] == []

"""Every damaged and hostile upload through the edge of an installation, to its end."""

import asyncio
from pathlib import Path

from hsis.contracts.uploads import UploadState
from hsis_embedded.stack import Stack
from tests.ingest.corpus import cases
from tests.support.api import Session

COLLECTION = "corpus"


async def test_each_gets_its_error_and_leaves_nothing(
    installation: tuple[Stack, Session], tmp_path: Path
) -> None:
    _, api = installation
    corpus = cases()
    assert len({case.name for case in corpus}) == len(corpus) >= 60
    problems = {}
    for case in corpus:
        folder = tmp_path / case.name
        folder.mkdir()
        for name, content in case.files.items():
            (folder / name).write_bytes(content)
        upload = await api.upload(
            [folder / name for name in case.files], COLLECTION, id=case.name, **case.options
        )
        assert upload.state is UploadState.FAILED, case.name
        assert upload.error is not None
        assert upload.error.detail
        problems[case.name] = upload.error.type.removeprefix("urn:hsis:problem:")
    assert problems == {case.name: case.problem for case in corpus}
    prefixes = (f"raw/{COLLECTION}/", f"cubes/{COLLECTION}/", "staging/")
    async with asyncio.timeout(60):
        for prefix in prefixes:
            while [blob async for blob in api.storage.list(prefix, token=api.token)]:
                await asyncio.sleep(0.5)
    found = await api.catalog.search({"collections": [COLLECTION]}, token=api.token)
    assert found["features"] == []

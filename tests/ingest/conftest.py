"""What ingest's tests share."""

from collections.abc import Iterator

import pytest

from tests.ingest import files


@pytest.fixture(autouse=True)
def _sources_are_closed() -> Iterator[None]:
    yield
    while files.OPEN:
        files.OPEN.pop().close()

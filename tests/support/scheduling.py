"""Which tests share a process when several run them."""

import pytest
from xdist.scheduler import LoadScopeScheduling

SHARING = (
    "tests/browser/",
    "tests/end_to_end/shared/",
    "tests/hsis_cli/test_commands.py",
    "tests/hsis_cli/test_metadata.py",
)
"""Modules that use the session's one embedded installation."""
COMPUTING = "tests/inference/"
"""Modules that need torch, which takes a second to import."""
LONG = (
    *SHARING,
    COMPUTING,
    "tests/end_to_end/test_crash.py",
    "tests/hsis_cli/test_transfers.py",
    "tests/ingest/test_conversion.py",
    "tests/ingest/test_corpus.py",
    "tests/ingest/test_corrections.py",
    "tests/ingest/test_duplicates.py",
    "tests/ingest/test_fetching.py",
    "tests/ingest/test_input_kinds.py",
    "tests/ingest/test_scrub.py",
    "tests/ingest/test_transfers.py",
    "tests/ingest/test_trash.py",
    "tests/ingest/test_tus_clients.py",
    "tests/ingest/test_unpacking.py",
    "tests/ingest/test_uploads.py",
    "tests/ingest/test_worker.py",
    "tests/storage_proxy/test_s3.py",
    "tests/storage_proxy/test_writing.py",
    "tests/tiles/test_export.py",
    "tests/tiles/test_export_layouts.py",
)
"""Modules of some ten seconds and more: they begin first, so that short ones fill up the end."""


def longest_first(items: list[pytest.Item]) -> None:
    """Put the tests of long modules before the others, each kind in the order it had."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))


class SharedInstallation(LoadScopeScheduling):
    """A module stays in one process; all modules that use the installation stay in the same one,
    so that it is started once, and so do those that use torch."""

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith(SHARING):
            return "embedded"
        return COMPUTING if nodeid.startswith(COMPUTING) else nodeid.split("::", 1)[0]

"""Which tests share a process when several run them."""

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


class SharedInstallation(LoadScopeScheduling):
    """A module stays in one process; all modules that use the installation stay in the same one,
    so that it is started once, and so do those that use torch."""

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith(SHARING):
            return "embedded"
        return COMPUTING if nodeid.startswith(COMPUTING) else nodeid.split("::", 1)[0]

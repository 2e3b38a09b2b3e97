"""Which tests share a process when several run them."""

from xdist.scheduler import LoadScopeScheduling

SHARING = (
    "tests/browser/",
    "tests/end_to_end/shared/",
    "tests/hsis_cli/test_commands.py",
    "tests/hsis_cli/test_metadata.py",
)
"""Modules that use the session's one embedded installation."""


class SharedInstallation(LoadScopeScheduling):
    """A module stays in one process; all modules that use the installation stay in the same one,
    so that it is started once."""

    def _split_scope(self, nodeid: str) -> str:
        return "embedded" if nodeid.startswith(SHARING) else nodeid.split("::", 1)[0]

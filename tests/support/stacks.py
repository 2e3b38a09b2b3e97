"""An embedded installation in the tests' own process: its services can be killed."""

from pathlib import Path

from hsis_embedded.readiness import free_port
from hsis_embedded.settings import EmbeddedSettings
from hsis_embedded.stack import Stack

PROJECT = Path(__file__).resolve().parents[2]


def stack_in(home: Path, password: str) -> Stack:
    """An installation that is not started yet, on a port of its own."""
    return Stack(
        EmbeddedSettings(
            home=home,
            port=free_port(),
            admin_password=password,
            caddyfile=PROJECT / "compose" / "Caddyfile",
            node_modules=PROJECT / "services" / "web" / "node_modules",
        )
    )

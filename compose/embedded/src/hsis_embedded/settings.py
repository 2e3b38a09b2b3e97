"""What the embedded default takes from the environment."""

import os
from dataclasses import dataclass
from pathlib import Path

DEFAULT_PORT = 8080
VARIABLES = {
    "HSIS_PORT": f"port of the edge, on 127.0.0.1 ({DEFAULT_PORT})",
    "HSIS_HOME": "folder of the data, the secrets and the logs (.hsis in the repository)",
    "HSIS_ADMIN_PASSWORD": "of the first user, admin (made at the first start, and printed)",
}
"""What is read of the environment, and its default."""


@dataclass(frozen=True, slots=True)
class EmbeddedSettings:
    """Where the installation keeps its data and where it answers."""

    home: Path
    port: int
    admin_password: str | None
    caddyfile: Path
    node_modules: Path

    @classmethod
    def of_environment(cls, project: Path) -> "EmbeddedSettings":
        """From HSIS_HOME, HSIS_PORT and HSIS_ADMIN_PASSWORD; `project` is the repository."""
        port = os.environ.get("HSIS_PORT", str(DEFAULT_PORT))
        if not port.isdecimal() or not 0 < int(port) < 65536:
            raise ValueError(f"HSIS_PORT is {port!r}; a number from 1 to 65535 is right.")
        home = Path(os.environ.get("HSIS_HOME") or project / ".hsis").expanduser().resolve()
        password = os.environ.get("HSIS_ADMIN_PASSWORD") or None
        return cls(
            home=home,
            port=int(port),
            admin_password=password,
            caddyfile=project / "compose" / "Caddyfile",
            node_modules=project / "services" / "web" / "node_modules",
        )

"""Settings of web."""

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from hsis.service.settings import ServiceSettings


class Settings(ServiceSettings):
    """Where the assets are that npm installed."""

    service: ClassVar[str] = "web"
    node_modules_dir: Path = Field(
        default=Path("node_modules"),
        description="The folder that `npm ci` made of package-lock.json",
    )

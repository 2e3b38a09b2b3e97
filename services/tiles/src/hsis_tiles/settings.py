"""Settings of tiles."""

from typing import ClassVar

from pydantic import Field

from hsis.service.settings import ServiceSettings


class Settings(ServiceSettings):
    """Where cubes are read from and how much is done and kept at once."""

    service: ClassVar[str] = "tiles"
    cached_cubes: int = Field(
        default=256, ge=1, description="Opened cubes kept, with the indexes of their shards"
    )
    cached_bytes: int = Field(
        default=256 * 1024 * 1024,
        ge=0,
        description="Compressed parts of cubes kept in memory, all cubes together",
    )
    reader_threads: int = Field(default=4, ge=1, description="Threads that decompress and draw")
    max_preview_pixels: int = Field(
        default=2048, ge=64, description="Longest side of a preview, in pixels"
    )
    concurrent_previews: int = Field(
        default=4, ge=1, description="Previews drawn at once; each holds its pixels in memory"
    )

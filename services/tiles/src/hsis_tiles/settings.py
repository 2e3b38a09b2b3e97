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
    concurrent_exports: int = Field(
        default=4, ge=1, description="Exports under way at once; one more is answered 503"
    )
    export_max_bytes: int = Field(
        default=256 * 1024**3, ge=1, description="Values of one export, uncompressed"
    )
    export_memory_bytes: int = Field(
        default=128 * 1024 * 1024,
        ge=1024 * 1024,
        description="Held at once for one export, about, whatever its size",
    )
    export_threads: int = Field(
        default=2, ge=1, description="Threads that decompress and arrange values of exports"
    )
    export_idle_s: float = Field(
        default=60.0, gt=0, description="Longest time that a client takes nothing of its export"
    )

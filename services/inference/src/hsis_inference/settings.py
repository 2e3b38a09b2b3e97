"""Settings of inference."""

import os
import socket
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from hsis.service.settings import DatabaseSettings

MIB = 1024**2


class Settings(DatabaseSettings):
    """What computes, and how blocks are leased and tried again."""

    service: ClassVar[str] = "inference"
    database_user: str = "hsis_inference"
    device: str = Field(
        default="auto",
        pattern="^(auto|cpu|cuda)$",
        description="What computes; auto takes CUDA where torch finds it",
    )
    gpu_lock_dir: Path | None = Field(
        default=None,
        description="Folder, shared by the replicas of a machine, where each locks a GPU",
    )
    worker_enabled: bool = Field(default=True, description="Whether this process computes blocks")
    worker_id: str = Field(
        default_factory=lambda: f"{socket.gethostname()}-{os.getpid()}",
        description="This replica's name in the queue, for people who look there",
    )
    worker_concurrency: int = Field(default=1, ge=1, description="Blocks computed at once")
    worker_poll_s: float = Field(default=1.0, gt=0, description="Wait between looks at the queue")
    lease_s: float = Field(
        default=20.0, gt=0, description="A block without a sign of life so long is taken over"
    )
    max_attempts: int = Field(default=3, ge=1, description="Of one block; then its job failed")
    retry_delay_s: float = Field(
        default=2.0, ge=0, description="Wait before the second attempt; twice before the third"
    )
    sweep_s: float = Field(
        default=3.0, gt=0, description="Wait between removals of what jobs without result left"
    )
    events_poll_s: float = Field(
        default=0.5, gt=0, description="How often a job is looked at for its event stream"
    )
    max_execution_bytes: int = Field(
        default=8 * MIB, ge=1024, description="Largest body of a request, such as an execution"
    )

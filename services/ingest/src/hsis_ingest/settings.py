"""Settings of ingest."""

from typing import ClassVar

from pydantic import Field

from hsis.service.settings import DatabaseSettings

MIB = 1024**2
GIB = 1024**3


class Settings(DatabaseSettings):
    """Limits of uploads, and how conversions are leased and how much memory they take."""

    service: ClassVar[str] = "ingest"
    database_user: str = "hsis_ingest"
    worker_enabled: bool = Field(default=True, description="Whether this process converts")
    worker_poll_s: float = Field(default=1.0, gt=0, description="Wait between looks at the queue")
    sweep_s: float = Field(
        default=3.0, gt=0, description="Wait between removals of what is stored for nothing"
    )
    lease_s: float = Field(
        default=20.0, gt=0, description="A conversion without a sign of life so long is taken over"
    )
    max_attempts: int = Field(default=3, ge=1, description="Of one conversion")
    retry_delay_s: float = Field(
        default=2.0, ge=0, description="Wait before the second attempt; twice before the third"
    )
    outage_delay_s: float = Field(
        default=15.0, ge=0, description="Wait before the next attempt while another part is away"
    )
    upload_ttl_s: float = Field(
        default=86_400.0,
        gt=0,
        description="An upload that is not complete by then is removed; so are, after as long, "
        "the files of a conversion that failed without being at fault",
    )
    max_document_bytes: int = Field(
        default=16 * MIB, ge=1024, description="Largest body of a request that is no file"
    )
    max_upload_bytes: int = Field(default=64 * GIB, ge=1, description="All files of an upload")
    list_max_entries: int = Field(
        default=16, ge=1, le=512, description="Files, and scenes, of each upload of a list"
    )
    transfer_part_bytes: int = Field(
        default=8 * MIB,
        ge=5 * MIB,
        description="Of a resumable upload, stored at once; it holds three in memory",
    )
    transfer_idle_s: float = Field(
        default=30.0, gt=0, description="Longest silence of a client that sends"
    )
    group_wait_s: float = Field(
        default=5.0, ge=0, description="Wait for another file of a group after its last one"
    )
    max_form_bytes: int = Field(
        default=64 * MIB, ge=1, description="An upload in one request, held in memory"
    )
    concurrent_forms: int = Field(
        default=2, ge=1, description="Of those, received at once; others wait"
    )
    concurrent_fetches: int = Field(
        default=2, ge=1, description="Files that this process fetches by itself at once"
    )
    fetch_idle_s: float = Field(
        default=30.0, gt=0, description="Longest silence of a server that a file is fetched from"
    )
    fetch_max_s: float = Field(
        default=21_600.0,
        gt=0,
        description="Longest time in which one file is fetched, all attempts together",
    )
    fetch_max_redirects: int = Field(
        default=5, ge=0, description="Redirections followed to a file that is fetched"
    )
    fetch_allow_private: bool = Field(
        default=False, description="Whether files are fetched from addresses that are not public"
    )
    fetch_private_hosts: str | None = Field(
        default=None,
        description="Hosts, with commas, that may have addresses that are not public",
    )
    archive_max_members: int = Field(
        default=10_000, ge=1, description="Files and folders of an archive"
    )
    archive_max_ratio: float = Field(
        default=200.0, gt=1, description="Largest ratio of an archive's files to its own size"
    )
    max_label_bytes: int = Field(
        default=256 * MIB, ge=1, description="Of a label map: its files, and its pixels"
    )
    conversion_memory_bytes: int = Field(
        default=256 * MIB, ge=MIB, description="Values of a cube held at once, about"
    )
    conversion_threads: int = Field(default=2, ge=1, description="Threads that read and compress")
    scrub_bytes_per_s: float = Field(
        default=200.0 * MIB, ge=0, description="Of one check of what is stored; 0 is no limit"
    )
    orphan_grace_s: float = Field(
        default=86_400.0,
        ge=0,
        description="What is stored for nothing that is known counts as an orphan after so long",
    )
    concurrent_scrubs: int = Field(
        default=2, ge=1, description="Checks of what is stored at once, in one process"
    )
    matlab_max_ratio: float = Field(
        default=250.0, gt=1, description="Largest ratio of decompressed to compressed bytes"
    )
    max_chunk_bytes: int = Field(
        default=128 * MIB, ge=MIB, description="A chunk, strip or tile of a file once decompressed"
    )
    max_expansion: float = Field(
        default=1000.0, gt=1, description="Largest ratio of a cube's bytes to its file's"
    )
    hdf5_max_objects: int = Field(
        default=10_000,
        ge=1,
        description="Objects of an HDF5 file, variables of a MATLAB file, arrays of a Zarr store",
    )
    hdf5_check_cpu_s: float = Field(
        default=60.0, ge=1, description="Processor time to open an HDF5 file, tried in a child"
    )
    hdf5_check_memory_bytes: int = Field(
        default=2 * GIB, ge=512 * MIB, description="Address space of that child"
    )
    tiff_max_images: int = Field(default=10_000, ge=1, description="Images of a TIFF file")
    zarr_max_members: int = Field(default=200_000, ge=1, description="Files in a zipped Zarr store")

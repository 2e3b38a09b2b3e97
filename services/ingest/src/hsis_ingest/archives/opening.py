"""Whether a file is an archive of scenes, by content, and the archive."""

from hsis_ingest.archives.members import Archive, Limits
from hsis_ingest.archives.tars import GZIP_MAGIC, TarArchive, is_tar
from hsis_ingest.archives.zips import MAGICS, ZipArchive
from hsis_ingest.formats.source import ByteSource

USTAR = slice(257, 262)


def open_archive(source: ByteSource, limits: Limits) -> Archive | None:
    """The checked archive; None for any other file, a zipped Zarr store among them.

    Raises an InputFault for an archive that may not be unpacked.
    """
    head = source.read_at(0, 512)
    if head.startswith(MAGICS):
        archive = ZipArchive(source, limits)
        return None if archive.is_zarr else archive
    if head[USTAR] == b"ustar" or (head.startswith(GZIP_MAGIC) and is_tar(source)):
        return TarArchive(source, limits)
    return None

"""What an upload is about to store, told to catalog, which knows how much room there is."""

from hsis.clients.catalog import CatalogClient
from hsis.errors import TooLarge
from hsis_ingest.errors import QuotaExceeded
from hsis_ingest.rows import UploadRow


def holder_of(upload: object) -> str:
    """How catalog knows the upload of that id."""
    return f"upload:{upload}"


async def reserve(catalog: CatalogClient, collection: str, holder: str, count: int) -> None:
    """Reserve so many bytes in all; `catalog` acts as ingest. QuotaExceeded where there is no
    room."""
    try:
        await catalog.reserve_bytes(collection, holder, count)
    except TooLarge as error:
        raise QuotaExceeded(error.detail) from error


def own_bytes(upload: UploadRow) -> int:
    """What the upload's files take, as far as that is known; nothing where they are an earlier
    item's and counted with that."""
    if upload.originals is not None:
        return 0
    sizes = (file.declared_size if file.size is None else file.size for file in upload.files)
    return sum(size or 0 for size in sizes)

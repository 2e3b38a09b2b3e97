"""What end-to-end tests do again and again, through the typed clients."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from hsis.clients.catalog import CatalogClient
from hsis.clients.ingest import IngestClient
from hsis.clients.processing import ProcessingClient
from hsis.clients.storage import StorageClient
from hsis.clients.tiles import TilesClient
from hsis.contracts.jobs import JobInfo
from hsis.contracts.uploads import DeclaredFile, Upload, UploadRequest


@dataclass(frozen=True)
class Session:
    """The clients of one origin, and the token of the one who uses them."""

    http: httpx.AsyncClient
    url: str
    token: str

    @property
    def catalog(self) -> CatalogClient:
        return CatalogClient(self.http, self.url)

    @property
    def ingest(self) -> IngestClient:
        return IngestClient(self.http, self.url)

    @property
    def storage(self) -> StorageClient:
        return StorageClient(self.http, self.url)

    @property
    def tiles(self) -> TilesClient:
        return TilesClient(self.http, self.url)

    @property
    def processing(self) -> ProcessingClient:
        return ProcessingClient(self.http, self.url)

    async def send(self, files: Sequence[Path], collection: str, **options: Any) -> Upload:
        """Announce and send the files; the upload as it stands then."""
        declared = [DeclaredFile(name=file.name, size=file.stat().st_size) for file in files]
        request = UploadRequest(collection=collection, files=declared, **options)
        upload = await self.ingest.create(request, token=self.token)
        for file in files:
            upload = await self.ingest.put_file(
                upload.id, file.name, file.read_bytes(), token=self.token
            )
        return upload

    async def upload(self, files: Sequence[Path], collection: str, **options: Any) -> Upload:
        """Send the files and wait for the end of the conversion."""
        sent = await self.send(files, collection, **options)
        return [state async for state in self.ingest.wait(sent.id, token=self.token)][-1]

    async def run(self, process: str, **inputs: Any) -> tuple[JobInfo, dict[str, Any]]:
        """Run a process to its end; the job and, where it succeeded, its result item."""
        job = await self.processing.execute(process, inputs, token=self.token)
        async for last in self.processing.wait(job.job_id, token=self.token):
            job = last
        if job.status.value != "successful":
            return job, {}
        results = await self.processing.results(job.job_id, token=self.token)
        [result] = results.values()
        response = await self.http.get(
            result["href"], headers={"Authorization": f"Bearer {self.token}"}
        )
        return job, response.json()


@asynccontextmanager
async def session(url: str, password: str) -> AsyncIterator[Session]:
    """A session of the first user."""
    async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
        token = (await CatalogClient(http, url).login("admin", password)).access_token
        yield Session(http, url, token)


def open_cube(url: str, token: str, collection: str, item: str) -> Any:
    """The stored cube as stock xarray and zarr read it over HTTP, loaded."""
    import xarray

    options = {"client_kwargs": {"headers": {"Authorization": f"Bearer {token}"}}}
    with xarray.open_zarr(
        f"{url}/blobs/cubes/{collection}/{item}/cube.zarr", storage_options=options
    ) as dataset:
        return dataset.load()

"""A tus client for the tests, and what it has brought to the store."""

import base64
import hashlib
from dataclasses import dataclass

import httpx
import numpy as np

from tests.ingest.conftest import Ingest

COLLECTION = "tus"
OCTETS = "application/offset+octet-stream"
MIB = 1024 * 1024


def bytes_of(size: int, seed: int = 0) -> bytes:
    return np.random.default_rng(seed).bytes(size)


def encoded(**values: str) -> str:
    return ",".join(
        f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in values.items()
    )


@dataclass
class Tus:
    """A tus client that says only what a test tells it to."""

    http: httpx.AsyncClient
    url: str
    token: str | None

    async def ask(self, method, url, content=b"", **headers) -> httpx.Response:
        named = {name.replace("_", "-"): str(value) for name, value in headers.items()}
        named.setdefault("Tus-Resumable", "1.0.0")
        if self.token:
            named.setdefault("Authorization", f"Bearer {self.token}")
        return await self.http.request(method, url, content=content, headers=named)

    async def create(self, length, content=b"", *, metadata=None, **headers) -> httpx.Response:
        if metadata is not None:
            headers["Upload_Metadata"] = encoded(**metadata)
        if length is not None:
            headers["Upload_Length"] = length
        return await self.ask("POST", f"{self.url}/uploads", content, **headers)

    async def created(self, length, name, **metadata) -> str:
        """The URL of a transfer for a file that makes an item of its own."""
        metadata = {"collection": COLLECTION, "filename": name} | metadata
        answer = await self.create(length, metadata=metadata)
        assert answer.status_code == 201, answer.text
        return answer.headers["Location"]

    async def send(self, url, offset, content, **headers) -> httpx.Response:
        headers = {"Content_Type": OCTETS, "Upload_Offset": offset} | headers
        return await self.ask("PATCH", url, content, **headers)

    async def offset(self, url) -> int:
        answer = await self.ask("HEAD", url)
        assert answer.status_code == 200
        return int(answer.headers["Upload-Offset"])


async def upload_of(ingest: Ingest, name: str, collection: str = COLLECTION):
    """The upload that has this file, as its users see it."""
    listed = await ingest.http.get(
        f"{ingest.url}/uploads?collection={collection}",
        headers={"Authorization": f"Bearer {ingest.admin_token}"},
    )
    [found] = [
        upload["id"]
        for upload in listed.json()["uploads"]
        if any(file["name"] == name for file in upload["files"])
    ]
    return await ingest.client.upload(found, token=ingest.admin_token)


async def stored(ingest: Ingest, name: str) -> bytes:
    """The file as it is in the store, once it is complete."""
    upload = await upload_of(ingest, name)
    [file] = [file for file in upload.files if file.name == name]
    assert file.received
    content = await ingest.storage.get(
        f"raw/{COLLECTION}/{upload.id}/{name}", token=ingest.admin_token
    )
    assert file.size == len(content)
    assert file.sha256 in {None, hashlib.sha256(content).hexdigest()}
    return content
